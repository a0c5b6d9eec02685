/** G18: a full disk refuses, acknowledges nothing, leaves no litter, and recovers by itself. */

import { spawnSync } from "node:child_process";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { after, describe, it } from "node:test";
import { assert, assertEquals } from "#assert";
import { openDisk } from "../../../src/backend/stores/disk.ts";
import { openSqlite } from "../../../src/backend/stores/sqlite.ts";
import { HearthError } from "../../../src/protocol/errors.ts";
import { pieces, readBlob } from "../../conformance/blob_store.ts";
import { commitOf, keyOf, ledger, metaOf, refOf } from "../../conformance/fixtures.ts";
import { makeTempFolder } from "../../harness/temp_folder.ts";

const folder = await makeTempFolder();
after(() => folder[Symbol.asyncDispose]());
const bytes = Uint8Array.from({ length: 60_000 }, (_, at) => at % 251);

describe("a full disk", { skip: cannotMount() }, () => {
  it("refuses commits, keeps what was acknowledged, and takes more when there is room", async () => {
    await using disk = await mountSmallDisk("database");
    await using store = await openSqlite({ path: join(disk.path, "hearth.db") });
    const put = (at: number) =>
      store.commit([commitOf({
        blobs: [{ ...keyOf(`${at}`, bytes), bytes }],
        metas: [metaOf(`${at}`, [refOf(`${at}`)])],
      })]);
    const kept = await untilFull(put);
    assertEquals(await store.bounds(ledger), { floor: 0, head: kept });
    assertEquals(await untilFull((at) => put(kept + at)), 0, "it stays full");
    await disk.makeRoom();
    await put(kept + 1);
    assertEquals(await store.bounds(ledger), { floor: 0, head: kept + 1 });
    const refs = Array.from({ length: kept + 1 }, (_, at) => refOf(`${at + 1}`));
    const blobs = await store.findBlobs(ledger, refs);
    assertEquals(blobs.map((blob) => blob.bytes), refs.map(() => bytes));
  });

  it("refuses blobs, keeps what was acknowledged, and takes more when there is room", async () => {
    await using disk = await mountSmallDisk("blobs");
    await using store = await openDisk({ directory: disk.path });
    const put = (at: number) => store.put(keyOf(`${at}`, bytes), pieces(bytes, 10_000));
    const kept = await untilFull(put);
    assertEquals(await readdir(join(disk.path, ".incoming")), []);
    assertEquals(await store.has(keyOf(`${kept + 1}`, bytes)), false);
    await disk.makeRoom();
    await put(kept + 1);
    for (let at = 1; at <= kept + 1; at++) {
      assertEquals(await readBlob(store, keyOf(`${at}`, bytes)), bytes);
    }
  });
});

/** How many went well before the first was refused for lack of room. */
async function untilFull(put: (at: number) => Promise<unknown>): Promise<number> {
  for (let at = 1; at < 1000; at++) {
    try {
      await put(at);
    } catch (error) {
      assert(error instanceof HearthError, String(error));
      assertEquals(error.code, "STORAGE_FULL");
      return at - 1;
    }
  }
  throw new Error("The disk never became full");
}

interface SmallDisk extends AsyncDisposable {
  readonly path: string;
  makeRoom(): Promise<void>;
}

/** A file system of 3 MiB, of which a third can be set free. */
async function mountSmallDisk(name: string): Promise<SmallDisk> {
  const path = join(folder.path, name);
  await mkdir(path);
  const { status, stderr } = mount(path, "3m");
  assertEquals(status, 0, String(stderr));
  const ballast = join(path, "ballast");
  await writeFile(ballast, new Uint8Array(1 << 20));
  return {
    path,
    makeRoom: () => rm(ballast),
    [Symbol.asyncDispose]: () => {
      const unmounted = spawnSync("umount", [path]);
      assertEquals(unmounted.status, 0, String(unmounted.stderr));
      return Promise.resolve();
    },
  };
}

function mount(path: string, size: string) {
  return spawnSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "hearth-test", path]);
}

function cannotMount(): string | false {
  if (process.platform !== "linux" || process.getuid?.() !== 0) {
    return "only the superuser of a Linux may make a small disk";
  }
  if (mount(folder.path, "3m").status !== 0) return "this system lets nobody mount";
  spawnSync("umount", [folder.path]);
  return false;
}
