/** A connection that does not read costs little, harms nobody, and misses nothing. */

import { test } from "node:test";
import { assert, assertEquals } from "#assert";
import { SendQueue } from "../../src/backend/send_queue.ts";
import { decodeFrames, encodeNotification } from "../../src/protocol/frames.ts";
import { parseNotice } from "../../src/protocol/parse.ts";
import { createFakeClock } from "../harness/fake_clock.ts";
import { makeMeta } from "./support/made.ts";
import { RawSocket } from "./support/raw_client.ts";
import { TcpSocket } from "./support/tcp_socket.ts";
import { startTestBackend } from "./support/test_backend.ts";

const ledger = "acme/todos";

function makeQueue(options: { readonly maxBytes: number; readonly busyBytes?: number }) {
  const sent: Uint8Array[] = [];
  const first = Promise.withResolvers<void>();
  const outlet = {
    readyState: 1,
    OPEN: 1,
    bufferedAmount: 0,
    send: (message: Uint8Array) => {
      sent.push(message);
      first.resolve();
    },
  };
  let full = 0;
  const queue = new SendQueue(outlet, {
    clock: createFakeClock(),
    onFull: () => full++,
    ...options,
  });
  return { queue, outlet, sent, first: first.promise, isFull: () => full };
}

const frame = (size: number) => encodeNotification("told", { body: new Uint8Array(size) });

test("frames of one turn leave as one message", async () => {
  const { queue, sent, first } = makeQueue({ maxBytes: 1000 });
  queue.push(frame(10));
  queue.answer(frame(20));
  queue.push(frame(30));
  assertEquals(sent.length, 0);
  await first;
  assertEquals(sent.length, 1);
  assertEquals(decodeFrames(sent[0] ?? new Uint8Array()).length, 3);
});

test("a message that is joined has no more values than a receiver may take", () => {
  const { queue, sent } = makeQueue({ maxBytes: 1 << 20 });
  const sizes = [30_000, 30_000, 30_000, 100_000, 10, 20];
  for (const size of sizes) queue.push(frame(size));
  queue.flush();
  assertEquals(sent.map((message) => decodeFrames(message).length), [2, 1, 1, 2]);
});

test("what has left the socket makes room, however much came before", () => {
  const { queue, outlet, isFull } = makeQueue({ maxBytes: 300 });
  for (let at = 0; at < 20; at++) {
    queue.push(frame(100));
    queue.flush();
  }
  assertEquals(isFull(), 0);
  outlet.bufferedAmount = 290;
  queue.push(frame(100));
  assertEquals(isFull(), 1);
});

test("pushes beyond the bound end the connection once, and nothing is sent past the gap", () => {
  const { queue, sent, isFull } = makeQueue({ maxBytes: 300 });
  for (let at = 0; at < 10; at++) queue.push(frame(80));
  queue.flush();
  assertEquals(isFull(), 1);
  assertEquals(decodeFrames(sent[0] ?? new Uint8Array()).length, 3);
});

test("an answer may be of any size, and leaves room for the pushes beside it", () => {
  const { queue, outlet, isFull } = makeQueue({ maxBytes: 300, busyBytes: 100 });
  queue.answer(frame(5000));
  queue.push(frame(200));
  assertEquals(isFull(), 0);
  queue.push(frame(200));
  assertEquals(isFull(), 1);
  assert(outlet.bufferedAmount === 0);
});

test("what the socket still holds counts, and a push that finds nothing waiting is sent whatever its size", () => {
  const { queue, outlet, isFull } = makeQueue({ maxBytes: 300 });
  queue.push(frame(1000));
  queue.flush();
  assertEquals(isFull(), 0);
  outlet.bufferedAmount = 290;
  queue.push(frame(100));
  assertEquals(isFull(), 1);
});

test("a reader that stalls is closed with 1013, holds nobody up, and resumes without a gap", {
  timeout: 120_000,
}, async () => {
  await using server = await startTestBackend();
  const token = await server.token();
  const writer = await RawSocket.greet(server.url, token);
  const healthy = await RawSocket.greet(server.url, token);
  await healthy.call("watch", { ledger });
  const slow = await TcpSocket.open(server.url);
  slow.ask(1, "hello", { version: 1, token });
  slow.ask(2, "watch", { ledger });
  await slow.until(() => slow.frames.length === 2);
  slow.pause();

  // Beyond what the kernel holds for a connection, by far.
  const count = 600;
  const ids = Array.from(
    { length: count },
    (_, at) => writer.ask("commit", { ledger, metas: [makeMeta(`${at} ${"x".repeat(40_000)}`)] }),
  );
  await writer.reply(ids.at(-1) ?? 0);
  const seen = () => healthy.notices.filter((it) => it.method === "metas").length;
  if (seen() < count) await healthy.until(() => seen() === count);
  assert(
    server.log.some((it) => it.code === "SLOW_CONSUMER"),
    "the stalled connection was given up while others went on",
  );

  slow.resume();
  await slow.until(() => slow.closeCode !== undefined);
  assertEquals(slow.closeCode, 1013);
  const last = slow.frames.at(-1);
  assertEquals(last?.kind === "notification" && last.method, "error");
  let position = 0;
  let cursor = "";
  for (const it of slow.frames.slice(2, -1)) {
    assert(it.kind === "notification" && it.method === "metas");
    const change = parseNotice("metas", it.params);
    assertEquals(change.after, cursor || change.after);
    ({ cursor } = change);
    position += change.metas.length;
  }
  assert(position > 0 && position < count, `${position} came before the end`);
  slow.destroy();

  const resumed = await RawSocket.greet(server.url, token);
  const first = await resumed.call("watch", { ledger, cursor });
  let rest = first.metas.length;
  const total = () => {
    const notices = resumed.notices.filter((it) => it.method === "metas");
    return rest +
      notices.reduce((sum, it) => sum + parseNotice("metas", it.params).metas.length, 0);
  };
  if (total() < count - position) await resumed.until(() => total() >= count - position);
  rest = total();
  assertEquals(rest, count - position);
  await Promise.all([writer.close(), healthy.close(), resumed.close()]);
});

test(
  "a connection that does not read its answers gets no further ones made",
  { timeout: 120_000 },
  async () => {
    await using server = await startTestBackend();
    const token = await server.token();
    const writer = await RawSocket.greet(server.url, token);
    const metas = Array.from({ length: 50 }, (_, at) => makeMeta(`${at} ${"x".repeat(10_000)}`));
    await writer.call("commit", { ledger, metas });
    const slow = await TcpSocket.open(server.url);
    slow.ask(1, "hello", { version: 1, token });
    await slow.until(() => slow.frames.length === 1);
    slow.pause();
    const asked = 60;
    for (let id = 2; id < asked; id++) slow.ask(id, "watch", { ledger });
    // While the server serves another connection so often, it could serve this one as often.
    for (let call = 0; call < 4 * asked; call++) await writer.call("getWal", { ledger, name: "x" });
    const made = server.log.filter((it) => it.method === "watch").length;
    assert(made < asked - 2, `${made} answers of half a megabyte were made for nobody`);
    slow.resume();
    await slow.until(() => slow.frames.length === asked - 1);
    slow.destroy();
    await writer.close();
  },
);
