/** Blobs on disk pass the suite of their interface; and what only files can show. */

import { mkdir, readdir, readFile, rm, stat, truncate, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { assert, assertEquals, assertRejects } from "#assert";
import { openDisk } from "../../../src/backend/stores/disk.ts";
import { HearthError } from "../../../src/protocol/errors.ts";
import { blobStoreSuite, pieces, readBlob } from "../../conformance/blob_store.ts";
import { cidOf, keyOf, utf8 } from "../../conformance/fixtures.ts";
import { startChild } from "../../harness/child.ts";
import { thisRuntime } from "../../harness/runtimes.ts";
import { makeTempFolder } from "../../harness/temp_folder.ts";

const folder = await makeTempFolder();
after(() => folder[Symbol.asyncDispose]());
let count = 0;
const newDirectory = () => join(folder.path, `new ${count++}`, "blobs");

blobStoreSuite("disk", () => openDisk({ directory: newDirectory() }));

describe("openDisk()", () => {
  const large = Uint8Array.from({ length: 200_000 }, (_, at) => at % 253);

  it("finds blobs again where they belong", async () => {
    const directory = newDirectory();
    const key = keyOf("a", large, { ledger: "Acme.inc/To-do_1" });
    await using store = await openDisk({ directory });
    await store.put(key, pieces(large, 9999));
    await using again = await openDisk({ directory });
    assertEquals(await readBlob(again, key), large);
    const cid = cidOf("a");
    const [path, ...others] = await files(directory);
    assertEquals(others, []);
    const digest = path?.split(".").at(-1);
    const names = ["=41cme=2einc", "=54o-do_1", "car", cid.slice(-2), `${cid}.${digest}`];
    assertEquals(path, join(...names));
  });

  it("never lets a reader complete a blob that was damaged", async () => {
    const damages: readonly ((path: string) => Promise<void>)[] = [
      async (path) => {
        const bytes = await readFile(path);
        bytes[199_999] = (bytes[199_999] ?? 0) ^ 1;
        await writeFile(path, bytes);
      },
      (path) => truncate(path, 100_000),
      (path) => truncate(path, 0),
      (path) => writeFile(path, new Uint8Array(10), { flag: "a" }),
    ];
    for (const damage of damages) {
      const directory = newDirectory();
      await using store = await openDisk({ directory });
      const key = keyOf("a", large);
      await store.put(key, pieces(large));
      await damageOnly(directory, damage);
      let received = 0;
      const error = await assertRejects(async () => {
        for await (const piece of await store.get(key) ?? []) received += piece.length;
      });
      assertEquals(error instanceof HearthError && error.code, "INTERNAL");
      assert(received < large.length, `${received} bytes were handed out`);
    }
  });

  it("heals a blob of the wrong size by the next put", async () => {
    const directory = newDirectory();
    await using store = await openDisk({ directory });
    const key = keyOf("a", large);
    await store.put(key, pieces(large));
    await damageOnly(directory, (path) => truncate(path, 5));
    assertEquals(await store.has(key), false);
    await store.put(key, pieces(large));
    assertEquals(await readBlob(store, key), large);
    assertEquals(await readdir(join(directory, ".incoming")), []);
  });

  it("leaves no temporary file behind, whatever came of the upload", async () => {
    const directory = newDirectory();
    await using store = await openDisk({ directory });
    const right = keyOf("a", large);
    await Promise.all([
      store.put(right, pieces(large, 1000)),
      store.put(right, pieces(large, 1000)),
      assertRejects(() => store.put(keyOf("b", large), pieces(utf8("wrong")))),
      assertRejects(() => store.put(keyOf("c", large), pieces(new Uint8Array(300_000)))),
    ]);
    assertEquals((await files(directory)).length, 1);
    assertEquals(await readdir(join(directory, ".incoming")), []);
  });

  it("sweeps what dead processes left, and spares what may still grow", async () => {
    const directory = newDirectory();
    await openDisk({ directory });
    const incoming = join(directory, ".incoming");
    await writeFile(join(incoming, "old"), "x");
    await utimes(join(incoming, "old"), 1000, 1000);
    await writeFile(join(incoming, "young"), "x");
    await openDisk({ directory });
    assertEquals(await readdir(incoming), ["young"]);
    const { mtimeMs } = await stat(join(incoming, "young"));
    await openDisk({ directory, staleMs: 0, now: () => mtimeMs + 1 });
    assertEquals(await readdir(incoming), []);
  });

  it("passes on what the file system says, and goes on when it is well again", async () => {
    const directory = newDirectory();
    await using store = await openDisk({ directory });
    await rm(join(directory, ".incoming"), { recursive: true });
    const error = await assertRejects(() => store.put(keyOf("a", large), pieces(large)));
    assert(!(error instanceof HearthError));
    await mkdir(join(directory, ".incoming"));
    await store.put(keyOf("a", large), pieces(large));
    assertEquals(await readBlob(store, keyOf("a", large)), large);
  });

  it("keeps every acknowledged blob of a process that is killed", async () => {
    const directory = newDirectory();
    const script = join(import.meta.dirname ?? "", "disk_child.ts");
    let acknowledged = 0;
    const enough = Promise.withResolvers<void>();
    const child = startChild(
      thisRuntime.command,
      [...thisRuntime.runs(), script, directory, "1e9"],
      {
        onLine: (line) => {
          if (line.startsWith("ack ")) acknowledged = Number(line.slice(4));
          if (acknowledged >= 100) enough.resolve();
        },
      },
    );
    await Promise.race([enough.promise, child.ended]);
    await child.end("SIGKILL");
    assert(acknowledged >= 100, child.lines.join("\n"));
    await using store = await openDisk({ directory, staleMs: 0 });
    assertEquals(await readdir(join(directory, ".incoming")), []);
    for (let at = 1; at <= acknowledged; at++) {
      const bytes = utf8(`blob ${at}`);
      assertEquals(await readBlob(store, keyOf(`blob ${at}`, bytes)), bytes);
    }
  });
});

/** Paths of all blobs, relative to the directory. */
async function files(directory: string): Promise<readonly string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .filter((path) => !path.startsWith(".incoming"));
}

async function damageOnly(
  directory: string,
  damage: (path: string) => Promise<void>,
): Promise<void> {
  const [path] = await files(directory);
  assert(path);
  await damage(join(directory, path));
}
