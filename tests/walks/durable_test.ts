/** The whole server on its embedded stores: start, use, stop, start again, and all is there. */

import { stat } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { assert, assertEquals } from "#assert";
import { serve } from "../../server.ts";
import { main } from "../../src/cli/main.ts";
import { makeBlob, makeMeta, sha256 } from "../backend/support/made.ts";
import { RawSocket, rpc } from "../backend/support/raw_client.ts";
import { makeTempFolder } from "../harness/temp_folder.ts";

const ledger = "acme/todos";

async function tokenOf(data: string): Promise<string> {
  const lines: string[] = [];
  const code = await main({
    args: ["token", ledger, "--for", "alice", "--data", data],
    env: () => undefined,
    out: (line) => lines.push(line),
    err: (line) => lines.push(line),
    invocation: "hearth",
    signal: new AbortController().signal,
  });
  assertEquals([code, lines.length], [0, 1], lines.join("\n"));
  return lines[0] ?? "";
}

test("what was acknowledged is there after a restart: metas, blobs of all sizes, keys, records", async () => {
  await using folder = await makeTempFolder();
  const data = join(folder.path, "new", "data");
  const config = { port: 0, data, log: { format: "text", level: "error" } } as const;
  // A token may be made before the first start.
  const token = await tokenOf(data);
  const blobs = [100, 70_000, 250_000, 2_000_000].map((size, at) => makeBlob(at, size));
  const large = blobs.at(-1);
  assert(large);
  let cursor: string;
  {
    await using server = await serve(config);
    const socket = await RawSocket.greet(server.url, token);
    const params = { ledger, method: "PUT" as const, ...large.ref, digest: large.digest };
    const { url } = await socket.call("signUrl", { ...params, size: large.bytes.length });
    const answer = await fetch(url, { method: "PUT", body: large.bytes });
    assertEquals([await answer.text(), answer.status], ["", 201]);
    for (const { ref, upload, digest, bytes } of blobs) {
      const brought = bytes === large.bytes ? { ...ref, digest, size: bytes.length } : upload;
      await socket.call("commit", {
        ledger,
        blobs: [brought],
        metas: [makeMeta(ref.cid, [ref])],
        keys: [`key of ${ref.cid}`],
      });
    }
    await socket.call("putWal", { ledger, name: "w", version: 0, bytes: new Uint8Array([7]) });
    ({ cursor } = await socket.call("watch", { ledger }));
    await socket.close();
  }
  await using server = await serve(config);
  const later = await tokenOf(data);
  const socket = await RawSocket.greet(server.url, later);
  const resumed = await socket.call("watch", { ledger, cursor });
  assertEquals([resumed.reset, resumed.metas, resumed.cursor], [false, [], cursor]);
  const fresh = await rpc(server.url, token, "poll", { ledger, inventory: true });
  assertEquals(fresh.changes.metas.length, blobs.length);
  assertEquals(fresh.changes.keys.length, blobs.length);
  assertEquals(fresh.changes.inventory?.length, blobs.length);
  assertEquals((await socket.call("getWal", { ledger, name: "w" })).version, 1);
  const refs = blobs.map((it) => it.ref);
  const got = await socket.call("getBlobs", { ledger, blobs: refs, inlineBytes: 1_000_000 });
  assertEquals(got.blobs.map((it) => it.bytes !== undefined), [true, true, true, false]);
  for (const [at, { bytes, url }] of got.blobs.entries()) {
    const read = bytes ?? new Uint8Array(await (await fetch(url ?? "")).arrayBuffer());
    assertEquals(sha256(read), blobs[at]?.digest);
  }
  await socket.close();
});

test("the signing key is for its owner's eyes alone, and two first starts end up with one", async () => {
  await using folder = await makeTempFolder();
  const tokens = await Promise.all([1, 2, 3, 4].map(() => tokenOf(folder.path)));
  const { mode } = await stat(join(folder.path, "signing-key.json"));
  assertEquals(mode & 0o777, 0o600);
  const log = { format: "text", level: "error" } as const;
  await using server = await serve({ port: 0, data: folder.path, log });
  for (const token of tokens) {
    assertEquals((await rpc(server.url, token, "hello", { version: 1 })).version, 1);
  }
});
