/** Each row of the table against each right, on both transports: only who may. */

import { after, test } from "node:test";
import { HearthError } from "../../src/protocol/errors.ts";
import { type MethodName, methods } from "../../src/protocol/methods.ts";
import type { Right } from "../../src/protocol/model.ts";
import { assertEquals } from "#assert";
import { makeBlob, makeMeta } from "./support/made.ts";
import { RawSocket, rpc } from "./support/raw_client.ts";
import { startTestBackend } from "./support/test_backend.ts";

const server = await startTestBackend();
after(() => server.stop());

const blob = makeBlob(1, 100);
const ledger = "acme/todos";
const writer = await server.token("write");
await rpc(server.url, writer, "commit", {
  ledger,
  blobs: [blob.upload],
  metas: [makeMeta("first", [blob.ref])],
});

/** A call of each row that goes well for who may, and the least right it takes. */
const calls: Readonly<Record<MethodName, readonly (readonly [Right | "none", object])[]>> = {
  hello: [],
  auth: [],
  commit: [["write", { ledger, metas: [makeMeta("second")] }]],
  missing: [["read", { ledger, blobs: [blob.ref] }]],
  getBlobs: [["read", { ledger, blobs: [blob.ref] }]],
  listBlobs: [["read", { ledger, store: "car" }]],
  signUrl: [
    ["read", { ledger, method: "GET", ...blob.ref }],
    ["write", { ledger, method: "PUT", ...blob.ref, digest: blob.digest, size: 100 }],
  ],
  watch: [["read", { ledger }]],
  unwatch: [["read", { ledger }]],
  poll: [["read", { ledger }]],
  delMeta: [["write", { ledger, metas: [] }]],
  getWal: [["write", { ledger, name: "w" }]],
  putWal: [["write", { ledger, name: "w", version: 0, bytes: new Uint8Array(1) }]],
  delWal: [["write", { ledger, name: "other", version: 0 }]],
  tell: [["write", { ledger, body: new Uint8Array(1) }]],
};

const strength = { none: 0, read: 1, write: 2, admin: 3 };
const holders = {
  nobody: await server.token("admin", ["acme/other", "umbrella/todos"]),
  read: await server.token("read"),
  write: writer,
  admin: await server.token("admin"),
};

for (const [method, rows] of Object.entries(calls) as [MethodName, typeof calls[MethodName]][]) {
  for (const [needed, params] of rows) {
    for (const [held, token] of Object.entries(holders) as [keyof typeof holders, string][]) {
      const allowed = held !== "nobody" && strength[held] >= strength[needed];
      const name = `${method}(${"method" in params ? params.method : ""})`;
      test(`${held} ${allowed ? "may" : "may not"} ${name}`, async () => {
        const { over } = methods[method];
        const found: string[] = [];
        if (over !== "http") {
          const socket = await RawSocket.greet(server.url, token);
          found.push(await codeOf(() => socket.callAny(method, params)));
          await socket.close();
        }
        if (over !== "websocket") {
          // The row's own parameters, whose type the loop has lost.
          found.push(await codeOf(() => rpc(server.url, token, method, params as never)));
        }
        for (const code of found) {
          // A record may be at another version by now: who is told so was let in.
          const expected = allowed ? (code === "CONFLICT" ? "CONFLICT" : "OK") : "FORBIDDEN";
          assertEquals(code, expected);
        }
      });
    }
  }
}

test("a ledger that does not exist is refused as one that does", async () => {
  const messages = await Promise.all(["acme/todos", "acme/never"].map(async (it) => {
    try {
      await rpc(server.url, holders.nobody, "poll", { ledger: it });
      return "answered";
    } catch (error) {
      return error instanceof Error ? error.message.replace(it, "…") : String(error);
    }
  }));
  assertEquals(messages[0], messages[1]);
});

async function codeOf(call: () => Promise<unknown>): Promise<string> {
  try {
    await call();
    return "OK";
  } catch (error) {
    if (error instanceof HearthError) return error.code;
    throw error;
  }
}
