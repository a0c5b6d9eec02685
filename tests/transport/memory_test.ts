/** The transport within one process. */

import { test } from "node:test";
import { assertEquals, assertRejects } from "#assert";
import { createMemoryDialer } from "../../src/transport/memory.ts";
import type { Transport } from "../../src/transport/transport.ts";
import { createRecorder } from "./recorder.ts";

const options = { token: () => "t", signal: new AbortController().signal };

function makeEnds() {
  const [atClient, atServer] = [createRecorder(), createRecorder()];
  const ends: Transport[] = [];
  const dialer = createMemoryDialer((transport) => {
    ends.push(transport);
    return atServer;
  });
  return { atClient, atServer, ends, dialer };
}

test("messages arrive later, in order, and as they were when they were sent", async () => {
  const { atClient, atServer, dialer } = makeEnds();
  const client = await dialer.open(atClient, options);
  const bytes = new Uint8Array([1]);
  client.send(bytes);
  bytes[0] = 9;
  client.send(bytes);
  assertEquals(atServer.messages, []);
  assertEquals(client.bufferedBytes, 2);
  assertEquals(await atServer.message(), new Uint8Array([1]));
  assertEquals(await atServer.message(), new Uint8Array([9]));
  assertEquals(client.bufferedBytes, 0);
});

test("either end ends both, once, after what was sent before", async () => {
  const { atClient, atServer, ends, dialer } = makeEnds();
  const client = await dialer.open(atClient, options);
  ends[0]?.send(new Uint8Array([1]));
  ends[0]?.close(1001, "going away");
  client.close();
  client.send(new Uint8Array([2]));
  assertEquals(await atClient.closed, { code: 1001, reason: "going away" });
  await atServer.closed;
  assertEquals(atClient.messages, [new Uint8Array([1])]);
  assertEquals([atClient.closes.length, atServer.closes.length], [1, 1]);
  assertEquals(atServer.messages, []);
});

test("whom nobody accepts gets no link", async () => {
  const dialer = createMemoryDialer(() => {
    throw new Error("full");
  });
  assertEquals((await assertRejects(() => dialer.open(createRecorder(), options))).message, "full");
  const signal = AbortSignal.abort(new Error("enough"));
  const error = await assertRejects(() => dialer.open(createRecorder(), { ...options, signal }));
  assertEquals(error.message, "enough");
});
