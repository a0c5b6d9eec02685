/** The whole table of errors, provoked on each transport: each gets its code, and nobody else notices. */

import { after, test } from "node:test";
import { assert, assertEquals } from "#assert";
import { closeCodeOf, type Code, codes, statusOf } from "../../src/protocol/errors.ts";
import {
  encodeNotification,
  encodeRequest,
  encodeResult,
  type Frame,
  joinFrames,
} from "../../src/protocol/frames.ts";
import { defaultLimits } from "../../src/protocol/limits.ts";
import { makeBlob, makeMeta } from "../backend/support/made.ts";
import { post, RawSocket, rpc } from "../backend/support/raw_client.ts";
import { startTestBackend } from "../backend/support/test_backend.ts";

const ledger = "acme/todos";
const server = await startTestBackend();
after(() => server.stop());
const token = await server.token();
const reading = await server.token("read");

// Somebody who minds their own business all the while.
const neighbour = await RawSocket.greet(server.url, token);
await neighbour.call("watch", { ledger });
after(() => neighbour.close());

const text = (it: string) => new TextEncoder().encode(it);
const hello = (params: object = {}) => encodeRequest(1, "hello", { version: 1, token, ...params });
const call = (method: string, params: object = {}) =>
  encodeRequest(2, method, { ledger, ...params });
const bomb = (depth: number) => new Uint8Array(depth).fill(0x91);
const blob = makeBlob(1, 100);
const meta = makeMeta("a");

/** One mistake: what is sent after a good hello (`bare`: instead of it), and the code it gets. */
interface Mistake {
  readonly code: Code;
  readonly send: Uint8Array | string;
  readonly bare?: boolean;
  /** Over which transport it can be made; both unless told. */
  readonly over?: "websocket" | "http";
}

const mistakes: Readonly<Record<string, Mistake>> = {
  "nothing at all": { code: "BAD_FRAME", send: new Uint8Array() },
  "text": { code: "BAD_FRAME", send: "hello", over: "websocket" },
  "random bytes": { code: "BAD_FRAME", send: new Uint8Array([0xc1, 0xff, 0x00, 0x13]) },
  "half a frame": { code: "BAD_FRAME", send: call("getWal", { name: "x" }).slice(0, -3) },
  "a good frame and garbage behind it": {
    code: "BAD_FRAME",
    send: joinFrames([call("commit", { metas: [makeMeta("half")] }), new Uint8Array([0xc1])]),
  },
  "an array that claims four billion items": {
    code: "BAD_FRAME",
    send: new Uint8Array([0xdd, 0xff, 0xff, 0xff, 0xff]),
  },
  "text that claims four gigabytes": {
    code: "BAD_FRAME",
    send: new Uint8Array([0xdb, 0xff, 0xff, 0xff, 0xff, 0x41]),
  },
  "deep nesting": { code: "BAD_FRAME", send: bomb(60_000) },
  "an extension type": {
    code: "BAD_FRAME",
    send: new Uint8Array([0x94, 0x00, 0x02, 0xd4, 0x01, 0x01, 0x80]),
  },
  "a map instead of a frame": { code: "BAD_FRAME", send: new Uint8Array([0x80]) },
  "a frame of an unknown kind": {
    code: "BAD_FRAME",
    send: new Uint8Array([0x93, 0x07, 0xa1, 0x61, 0x80]),
  },
  "a request without parameters": {
    code: "BAD_FRAME",
    send: new Uint8Array([0x93, 0x00, 0x02, 0xa1, 0x61]),
  },
  "an id that is text": {
    code: "BAD_FRAME",
    send: new Uint8Array([0x94, 0x00, 0xa1, 0x61, 0xa1, 0x61, 0x80]),
  },
  "a reply that nobody asked for": { code: "BAD_FRAME", send: encodeResult(1, {}) },
  "text that is not UTF-8": {
    code: "BAD_FRAME",
    send: new Uint8Array([0x94, 0x00, 0x02, 0xa2, 0xc3, 0x28, 0x80]),
  },
  "a key twice": {
    code: "BAD_FRAME",
    send: new Uint8Array([0x94, 0, 2, 0xa1, 0x61, 0x82, 0xa1, 0x61, 1, 0xa1, 0x61, 2]),
  },
  "a message a little too large": { code: "TOO_LARGE", send: new Uint8Array((1 << 20) + 1) },

  "another frame before hello": {
    code: "HELLO_REQUIRED",
    send: call("getWal", { name: "x" }),
    bare: true,
    over: "websocket",
  },
  "an unknown method before hello": {
    code: "HELLO_REQUIRED",
    send: call("x"),
    bare: true,
    over: "websocket",
  },
  "a notification before hello": {
    code: "HELLO_REQUIRED",
    send: encodeNotification("ping", {}),
    bare: true,
    over: "websocket",
  },
  "a second hello": {
    code: "ALREADY_GREETED",
    send: encodeRequest(2, "hello", { version: 1, token }),
    over: "websocket",
  },
  "another version": { code: "VERSION_UNSUPPORTED", send: hello({ version: 2 }), bare: true },
  "hello with a forged token": {
    code: "UNAUTHENTICATED",
    send: hello({ token: "a.b.c" }),
    bare: true,
  },
  "hello without a token": {
    code: "UNAUTHENTICATED",
    send: encodeRequest(1, "hello", { version: 1 }),
    bare: true,
    over: "websocket",
  },
  "hello with more than it takes": { code: "BAD_PARAMS", send: hello({ admin: true }), bare: true },
  "auth with a forged token": {
    code: "UNAUTHENTICATED",
    send: encodeRequest(2, "auth", { token: "a.b.c" }),
    over: "websocket",
  },

  "an unknown method": { code: "METHOD_UNKNOWN", send: call("drop") },
  "a method by the name of a built-in": { code: "METHOD_UNKNOWN", send: call("toString") },
  "a method by the name of the prototype": { code: "METHOD_UNKNOWN", send: call("__proto__") },
  "an unknown notification": {
    code: "METHOD_UNKNOWN",
    send: encodeNotification("drop", {}),
    over: "websocket",
  },
  "poll over a socket": { code: "WRONG_TRANSPORT", send: call("poll"), over: "websocket" },
  "watch over HTTP": { code: "WRONG_TRANSPORT", send: call("watch"), over: "http" },
  "unwatch over HTTP": { code: "WRONG_TRANSPORT", send: call("unwatch"), over: "http" },
  "auth over HTTP": {
    code: "WRONG_TRANSPORT",
    send: encodeRequest(2, "auth", { token }),
    over: "http",
  },

  "parameters that are a list": { code: "BAD_PARAMS", send: encodeRequest(2, "getWal", [1]) },
  "parameters that are missing": { code: "BAD_PARAMS", send: encodeRequest(2, "getWal", null) },
  "a number for a name": { code: "BAD_PARAMS", send: call("getWal", { name: 7 }) },
  "a field too many": { code: "BAD_PARAMS", send: call("getWal", { name: "x", more: 1 }) },
  "a field too few": { code: "BAD_PARAMS", send: call("getWal") },
  "a ledger without a tenant": {
    code: "BAD_PARAMS",
    send: call("getWal", { ledger: "todos", name: "x" }),
  },
  "a ledger that climbs": {
    code: "BAD_PARAMS",
    send: call("getWal", { ledger: "acme/..", name: "x" }),
  },
  "a CID that is none": {
    code: "BAD_PARAMS",
    send: call("missing", { blobs: [{ store: "car", cid: "bafynonsense" }] }),
  },
  "a CID in another spelling": {
    code: "BAD_PARAMS",
    send: call("missing", { blobs: [{ ...blob.ref, cid: blob.ref.cid.toUpperCase() }] }),
  },
  "a store that is none": {
    code: "BAD_PARAMS",
    send: call("missing", { blobs: [{ ...blob.ref, store: "meta" }] }),
  },
  "too long a list": {
    code: "BAD_PARAMS",
    send: call("missing", { blobs: Array.from({ length: 1001 }, () => blob.ref) }),
  },
  "bytes that are text": { code: "BAD_PARAMS", send: call("tell", { body: "hi" }) },
  "a message to others that is too long": {
    code: "BAD_PARAMS",
    send: call("tell", { body: new Uint8Array(20_000) }),
  },
  "a negative version": {
    code: "BAD_PARAMS",
    send: call("putWal", { name: "x", version: -1, bytes: new Uint8Array() }),
  },
  "a blob without bytes or digest": {
    code: "BAD_PARAMS",
    send: call("commit", { blobs: [blob.ref] }),
  },
  "an inline blob that is too large": {
    code: "BAD_PARAMS",
    send: call("commit", { blobs: [makeBlob(2, defaultLimits.inlineBlobBytes + 1).upload] }),
  },
  "a URL for a PUT of nothing known": {
    code: "BAD_PARAMS",
    send: call("signUrl", { method: "PUT", ...blob.ref }),
  },

  "a ledger that is not granted": {
    code: "FORBIDDEN",
    send: call("getWal", { ledger: "umbrella/todos", name: "x" }),
  },
  "a blob that is nowhere": {
    code: "NOT_FOUND",
    send: call("signUrl", { method: "GET", ...blob.ref }),
  },
  "a blob that was never uploaded": {
    code: "MISSING_BLOBS",
    send: call("commit", { blobs: [{ ...blob.ref, digest: blob.digest, size: 100 }] }),
  },
  "a meta whose blobs are not stored": {
    code: "MISSING_BLOBS",
    send: call("commit", { metas: [makeMeta("b", [blob.ref])] }),
  },
  "a meta of another digest": {
    code: "DIGEST_MISMATCH",
    send: call("commit", { metas: [{ ...meta, data: text("b") }] }),
  },
  "a blob of another digest": {
    code: "DIGEST_MISMATCH",
    send: call("commit", { blobs: [{ ...blob.upload, digest: new Uint8Array(32) }] }),
  },
  "a blob of another size": {
    code: "DIGEST_MISMATCH",
    send: call("commit", { blobs: [{ ...blob.upload, size: 99 }] }),
  },
  "a cursor that is none, over a socket": {
    code: "CURSOR_INVALID",
    send: call("watch", { cursor: "x" }),
    over: "websocket",
  },
  "a cursor that is none, over HTTP": {
    code: "CURSOR_INVALID",
    send: call("poll", { cursor: "x" }),
    over: "http",
  },
  "a record at another version": {
    code: "CONFLICT",
    send: call("putWal", { name: "never", version: 3, bytes: new Uint8Array() }),
  },
};

for (const [what, { code, send, bare, over }] of Object.entries(mistakes)) {
  if (over !== "http") {
    test(`${what}: ${code} over WebSocket`, async () => {
      const socket = await RawSocket.open(server.url);
      if (!bare) await socket.call("hello", { version: 1, token });
      const before = socket.frames.length;
      // Nothing here makes shared memory, which the wider type leaves open.
      socket.send(send as Uint8Array<ArrayBuffer> | string);
      await socket.until((it) => codeIn(it) !== undefined);
      assertEquals(socket.frames.slice(before).map(codeIn), [code]);
      const closeCode = closeCodeOf(code);
      if (closeCode !== undefined) {
        assertEquals(await socket.closed, { code: closeCode, reason: code });
      } else {
        const alive = bare ? hello() : encodeRequest(9, "getWal", { ledger, name: "alive" });
        socket.send(alive);
        const answer = await socket.until((it) =>
          it.kind === "reply" && it.error === null && it.id === (bare ? 1 : 9)
        );
        assertEquals(codeIn(answer), undefined);
        await socket.close();
      }
    });
  }
  if (over !== "websocket" && typeof send !== "string") {
    test(`${what}: ${code} over HTTP`, async () => {
      const { status, frames } = await post(server.url, token, send);
      assertEquals([status, frames.map(codeIn)], [statusOf(code), [code]]);
    });
  }
}

test("a message far beyond the limit ends the socket with 1009, unread", async () => {
  const socket = await RawSocket.greet(server.url, token);
  socket.send(new Uint8Array(8 << 20));
  const { code } = await socket.closed;
  // A client that is still sending may see the link break before it reads the close.
  assert(code === 1009 || code === 1006 || code === 0, String(code));
});

test("over HTTP a missing or wrong bearer is 401, whatever the body", async () => {
  for (
    const header of [undefined, "", "Basic abc", "Bearer", "Bearer x", `Bearer ${token} x`, token]
  ) {
    const headers: Record<string, string> = header === undefined ? {} : { authorization: header };
    const { status, frames } = await post(server.url, undefined, hello(), headers);
    assertEquals([header, status, frames.map(codeIn)], [header, 401, ["UNAUTHENTICATED"]]);
  }
});

test("over HTTP a body that is declared too large is refused unread", async () => {
  const { status, frames } = await post(server.url, token, new Uint8Array(4 << 20));
  assertEquals([status, frames.map(codeIn)], [413, ["TOO_LARGE"]]);
});

test("over HTTP several frames are answered in order with 200, whatever became of each", async () => {
  const good = encodeRequest(5, "getWal", { ledger, name: "x" });
  const bad = encodeRequest(6, "getWal", { ledger, name: "" });
  const body = joinFrames([good, bad, encodeNotification("ping", {}), good]);
  const { status, frames } = await post(server.url, token, body);
  assertEquals([status, frames.map(codeIn)], [200, [
    undefined,
    "BAD_PARAMS",
    undefined,
    undefined,
  ]]);
  assertEquals(frames.map((it) => it.kind === "reply" ? it.id : it.kind), [
    5,
    6,
    "notification",
    5,
  ]);
});

test("a wrong path or HTTP method is answered, and a socket path without upgrade", async () => {
  const wrong: readonly (readonly [string, string, number])[] = [
    ["GET", "/", 404],
    ["GET", "/v1/rpc", 404],
    ["PUT", "/v1/rpc", 404],
    ["GET", "/v1/blobs/", 403],
    ["GET", "/v1/blobs/acme/todos/car/x", 403],
    ["GET", "/v1/sync", 426],
    ["POST", "/v1/sync", 404],
  ];
  for (const [method, path, status] of wrong) {
    const response = await fetch(server.url + path, { method });
    await response.arrayBuffer();
    assertEquals([method, path, response.status], [method, path, status]);
  }
});

test("the right to read does not write, on any transport", async () => {
  const socket = await RawSocket.greet(server.url, reading);
  socket.send(call("commit", { metas: [meta] }));
  const refused = await socket.until((it) => it.kind === "reply" && it.id === 2);
  assertEquals(codeIn(refused), "FORBIDDEN");
  await socket.close();
  const { status } = await post(server.url, reading, call("commit", { metas: [meta] }));
  assertEquals(status, 403);
});

test("after all of it nothing was committed, and the neighbour is there and has heard nothing", async () => {
  const { changes } = await rpc(server.url, token, "poll", { ledger });
  assertEquals([changes.metas, changes.keys], [[], []]);
  assertEquals(neighbour.notices, []);
  await neighbour.call("commit", { ledger, metas: [makeMeta("fine")] });
  await neighbour.until((it) => it.kind === "notification" && it.method === "metas");
});

test("every code of the table is walked here, or said to be walked elsewhere", () => {
  const elsewhere: Readonly<Partial<Record<Code, string>>> = {
    LEDGER_UNKNOWN: "tests/backend/commit_test.ts",
    RATE_LIMITED: "tests/backend/watch_test.ts",
    SLOW_CONSUMER: "tests/backend/slow_consumer_test.ts",
    UNAVAILABLE: "tests/backend/stop_test.ts",
    STORAGE_FULL: "tests/backend/stores",
    INTERNAL: "tests/backend/commit_test.ts",
    TIMEOUT: "raised by the client",
    CLOSED: "raised by the client",
  };
  const walked = new Set<string>(Object.values(mistakes).map((it) => it.code));
  const left = Object.keys(codes).filter((it) => !walked.has(it) && !(it in elsewhere));
  assertEquals(left, []);
});

/** The error code in a frame, if any. */
function codeIn(frame: Frame): string | undefined {
  if (frame.kind === "reply") return frame.error?.code;
  if (frame.kind !== "notification" || frame.method !== "error") return undefined;
  return (frame.params as { readonly code: string }).code;
}
