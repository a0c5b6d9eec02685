/** Sessions: greeting, renewal, expiry, silence; each ends when it must and not before. */

import { assert, assertEquals, assertRejects } from "#assert";
import { test } from "node:test";
import { createMemoryMetaStore } from "../../src/backend/stores/memory.ts";
import { HearthError } from "../../src/protocol/errors.ts";
import { encodeNotification } from "../../src/protocol/frames.ts";
import { createFakeClock } from "../harness/fake_clock.ts";
import { RawSocket, rpc } from "./support/raw_client.ts";
import { TcpSocket } from "./support/tcp_socket.ts";
import { startTestBackend } from "./support/test_backend.ts";

const dayMs = 24 * 60 * 60 * 1000;

async function codeOf(call: () => Promise<unknown>): Promise<string> {
  const error = await assertRejects(call);
  assert(error instanceof HearthError, String(error));
  return error.code;
}

function noticeOf(socket: RawSocket): unknown {
  const last = socket.notices.at(-1);
  return last && [last.method, (last.params as { readonly code?: string }).code];
}

test("hello tells version, session, epoch, limits, heartbeat and expiry, the same over HTTP", async () => {
  await using server = await startTestBackend();
  const token = await server.token();
  const socket = await RawSocket.open(server.url);
  const first = await socket.call("hello", { version: 1, token, client: "test" });
  const second = await rpc(server.url, token, "hello", { version: 1 });
  assertEquals({ ...second, session: first.session }, first);
  assert(first.session !== second.session);
  assertEquals(first.epoch, server.deps.metaStore.epoch);
  assertEquals(first.limits.messageBytes, 1 << 20);
  assertEquals(first.heartbeatMs, 10_000);
  await socket.close();
});

test("what follows hello in the same message is answered behind it, in order", async () => {
  await using server = await startTestBackend();
  const socket = await RawSocket.open(server.url);
  const ledger = "acme/todos";
  const token = await server.token();
  const ids = [
    socket.ask("hello", { version: 1, token }),
    socket.ask("watch", { ledger }),
    socket.ask("getWal", { ledger, name: "x" }),
  ];
  await socket.reply(ids[2] ?? 0);
  assertEquals(socket.frames.map((it) => it.kind === "reply" && it.id), ids);
  await socket.close();
});

test("a socket that does not say hello within 5 s is closed", async () => {
  const clock = createFakeClock();
  await using server = await startTestBackend({ clock });
  const socket = await RawSocket.open(server.url);
  clock.advance(4_900);
  await assertStillOpen(socket);
  clock.advance(200);
  assertEquals((await socket.closed).code, 1008);
  assertEquals(noticeOf(socket), ["error", "HELLO_REQUIRED"]);
});

test("a connection ends when its token does", async () => {
  const clock = createFakeClock();
  await using server = await startTestBackend({ clock });
  const token = await server.token("write", ["acme/todos"], { lifeMs: 8_000 });
  const socket = await RawSocket.greet(server.url, token);
  clock.advance(7_000);
  await assertStillOpen(socket);
  clock.advance(1_500);
  assertEquals((await socket.closed).code, 4401);
  assertEquals(noticeOf(socket), ["error", "UNAUTHENTICATED"]);
});

test("a connection with a token for 60 days is not closed at once, as one long timer would", async () => {
  const clock = createFakeClock();
  await using server = await startTestBackend({ clock });
  const token = await server.token("write", ["acme/todos"], { lifeMs: 60 * dayMs });
  const socket = await RawSocket.greet(server.url, token);
  clock.advance(1_000);
  await assertStillOpen(socket);
  await socket.close();
});

test("auth brings a fresh token, and the old expiry passes without effect", async () => {
  const clock = createFakeClock();
  await using server = await startTestBackend({ clock });
  const short = await server.token("write", ["acme/todos"], { lifeMs: 8_000 });
  const socket = await RawSocket.greet(server.url, short);
  const { expiresAt } = await socket.call("auth", { token: await server.token() });
  assert(expiresAt > clock.now() + 3_000_000);
  clock.advance(9_000);
  await assertStillOpen(socket);
  await socket.close();
});

test("auth with another subject's token, or a forged one, ends the connection", async () => {
  await using server = await startTestBackend();
  const others = await server.token("write", ["acme/todos"], { subject: "bob" });
  for (const token of [others, "forged"]) {
    const socket = await RawSocket.greet(server.url, await server.token());
    assertEquals(await codeOf(() => socket.call("auth", { token })), "UNAUTHENTICATED");
    assertEquals((await socket.closed).code, 4401);
  }
});

test("rights follow the token in force", async () => {
  await using server = await startTestBackend();
  const ledger = "acme/todos";
  const socket = await RawSocket.greet(server.url, await server.token("read"));
  const write = () =>
    socket.call("putWal", { ledger, name: "w", version: 0, bytes: new Uint8Array(1) });
  assertEquals(await codeOf(write), "FORBIDDEN");
  await socket.call("auth", { token: await server.token("write") });
  assertEquals(await write(), { version: 1 });
  await socket.call("auth", { token: await server.token("read") });
  assertEquals(await codeOf(write), "FORBIDDEN");
  await socket.close();
});

test("a token that no longer covers a live watch ends the connection, so that nobody is stale", async () => {
  await using server = await startTestBackend();
  const socket = await RawSocket.greet(server.url, await server.token("read"));
  await socket.call("watch", { ledger: "acme/todos" });
  await socket.call("auth", { token: await server.token("read", ["acme/other"]) });
  assertEquals((await socket.closed).code, 1001);
});

test("a peer that gives no sign of life is cut, one that answers pings is kept", async () => {
  const clock = createFakeClock();
  await using server = await startTestBackend({ clock, heartbeatMs: 1_000 });
  const token = await server.token();
  const alive = await RawSocket.greet(server.url, token);
  const mute = await TcpSocket.open(server.url);
  mute.ask(1, "hello", { version: 1, token });
  await mute.until(() => mute.frames.length === 1);

  clock.advance(1_000);
  await mute.until(() => mute.controls.includes(0x9));
  await assertStillOpen(alive);
  for (let second = 0; second < 6; second++) {
    clock.advance(1_000);
    await assertStillOpen(alive);
  }
  await mute.until(() => mute.ended);
  assertEquals(mute.closeCode, undefined);
  await alive.close();
});

test("a ping is answered ahead of a request that waits", async () => {
  const metaStore = createMemoryMetaStore();
  const gate = Promise.withResolvers<void>();
  metaStore.getWal = () => gate.promise.then(() => ({ version: 0, bytes: null }));
  await using server = await startTestBackend({ metaStore });
  const socket = await RawSocket.greet(server.url, await server.token());
  const id = socket.ask("getWal", { ledger: "acme/todos", name: "x" });
  await assertStillOpen(socket);
  assertEquals(socket.frames.some((it) => it.kind === "reply" && it.id === id), false);
  gate.resolve();
  await socket.reply(id);
  await socket.close();
});

/** Whether the server still answers on it: a round trip, so that a close before it would be seen. */
async function assertStillOpen(socket: RawSocket): Promise<void> {
  const before = socket.notices.length;
  if (socket.frames.length === 0) return; // Not greeted: it may say nothing but hello.
  socket.send(encodeNotification("ping", {}));
  await socket.until(() => socket.notices.length > before);
  assertEquals(socket.notices.at(-1)?.method, "pong");
}
