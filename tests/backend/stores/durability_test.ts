/** G2: what is acknowledged was on the disk before, by the order of system calls. */

import { join } from "node:path";
import { after, describe, it } from "node:test";
import { assert, assertEquals } from "#assert";
import { thisRuntime } from "../../harness/runtimes.ts";
import { cannotTrace, type SystemCall, traceCalls } from "../../harness/system_calls.ts";
import { makeTempFolder } from "../../harness/temp_folder.ts";

const folder = await makeTempFolder();
after(() => folder[Symbol.asyncDispose]());

describe("an acknowledgement", { skip: cannotTrace() }, () => {
  it("of a commit follows the sync of the write-ahead log", async () => {
    const calls = await trace("sqlite_child.ts", join(folder.path, "database", "hearth.db"));
    const writes = calls.filter((it) => /^p?write/.test(it.name) && it.args.includes(".db-wal>"));
    const syncs = calls.filter((it) => isSync(it) && it.args.includes(".db-wal>"));
    let before = -1;
    for (const ack of acks(calls)) {
      const written = writes.findLast((it) => it.end < ack.begin);
      assert(written && written.begin > before, "the commit was written before its ack");
      const isSynced = syncs.some((it) => it.begin > written.end && it.end < ack.begin);
      assert(isSynced, "the log was synced between write and ack");
      before = ack.end;
    }
    const made = calls.filter((it) => it.name.startsWith("openat") && it.args.includes(".db-wal"));
    assert(made.some((it) => it.args.includes("O_CREAT")));
    const folderSync = calls.find((it) => isSync(it) && it.args.includes("/database>"));
    assert(folderSync && folderSync.end < (acks(calls)[0]?.begin ?? 0), "the entry was synced");
  });

  it("of a blob follows the syncs of its file, its link and every new directory", async () => {
    const root = join(folder.path, "data", "blobs");
    const calls = await trace("disk_child.ts", root);
    const links = calls.filter((it) => it.name.startsWith("link") && it.result === "0");
    assertEquals(links.length, 3);
    for (const [at, ack] of acks(calls).entries()) {
      const link = links[at];
      assert(link);
      const [upload = "", blob = ""] = [...link.args.matchAll(/"([^"]*)"/g)].map((it) => it[1]);
      assert(upload.includes(".incoming") && blob.includes("/car/"), link.args);
      assert(syncOf(calls, upload, -1, link.begin), "the file was synced before it was linked");
      assert(
        syncOf(calls, parent(blob), link.end, ack.begin),
        "the link was synced before the ack",
      );
    }
    const first = acks(calls)[0]?.begin ?? 0;
    const made = calls.filter((it) => it.name.startsWith("mkdir") && it.result === "0")
      .filter((it) => it.end < first);
    const paths = made.map((it) => /"([^"]*)"/.exec(it.args)?.[1] ?? "");
    assert(paths.length >= 7, `made ${paths.join(", ")}`);
    for (const [at, path] of paths.entries()) {
      const isSynced = syncOf(calls, parent(path), made[at]?.end ?? 0, first);
      assert(isSynced, `the entry of ${path} was synced before the ack`);
    }
  });
});

/** Runs a child that acknowledges three times. */
async function trace(script: string, where: string): Promise<readonly SystemCall[]> {
  const names = [
    "openat",
    "mkdir",
    "mkdirat",
    "write",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "writev",
  ];
  names.push("fsync", "fdatasync", "link", "linkat");
  const { command, runs } = thisRuntime;
  const path = join(import.meta.dirname ?? "", script);
  const calls = await traceCalls(join(folder.path, `${script}.trace`), names, [
    ...[command, ...runs(), path],
    ...[where, "3"],
  ]);
  assertEquals(acks(calls).length, 3);
  return calls;
}

function acks(calls: readonly SystemCall[]): readonly SystemCall[] {
  return calls.filter((it) => it.name === "write" && /^1<.*"ack \d/.test(it.args));
}

function isSync({ name, result }: SystemCall): boolean {
  return (name === "fsync" || name === "fdatasync") && result === "0";
}

/** A sync of this path that lies wholly between two lines of the trace. */
function syncOf(
  calls: readonly SystemCall[],
  path: string,
  after: number,
  before: number,
): SystemCall | undefined {
  return calls.find((it) =>
    isSync(it) && it.args.endsWith(`<${path}>`) && it.begin > after && it.end < before
  );
}

function parent(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}
