/** Writes and readers whose server is down, silent, or not attached yet. */

import { test } from "node:test";
import { assert, assertEquals, assertRejects } from "#assert";
import { startTestBackend } from "../backend/support/test_backend.ts";
import { diskPlace, startDevice } from "../harness/device.ts";
import { eventually } from "../harness/eventually.ts";
import { startFaultProxy } from "../harness/fault_proxy.ts";
import { startServer, type TokenOptions } from "../harness/server_process.ts";
import { makeTempFolder } from "../harness/temp_folder.ts";
import { docsOf, have, hear, join, ledger, patient, reach } from "./scene.ts";

test("writes made while the server is down arrive when it is back", patient, async () => {
  await using server = await startServer();
  await using a = await startDevice();
  await using b = await startDevice();
  await join(server, [a, b]);
  await a.put({ docs: docsOf("before") });
  await hear([b], ["before"]);
  await server.stop();
  await a.put({ docs: docsOf("a1", "a2") });
  await b.put({ docs: docsOf("b1") });
  await server.start();
  await hear([b], ["a1", "a2"]);
  await hear([a], ["b1"]);
  await reach([a, b], "synced");
});

test("writes made into a black hole arrive when it is gone", patient, async () => {
  await using server = await startQuickServer();
  await using proxy = await startFaultProxy({ target: server.port });
  await using a = await startDevice();
  await using b = await startDevice();
  await join(server, [a], { url: proxy.url });
  await join(server, [b]);
  await a.put({ docs: docsOf("before") });
  await hear([b], ["before"]);
  await a.flush();
  await proxy.set("hole");
  const down = proxy.bytesDown;
  await a.put({ docs: docsOf("lost-1", "lost-2") });
  await eventually(async () => assertEquals((await a.status()).state, "offline"), { on: [a] });
  assertEquals((await b.heard()).includes("lost-1"), false);
  await proxy.set("pass");
  await hear([b], ["lost-1", "lost-2"]);
  await reach([a], "synced");
  assert(proxy.bytesDown > down);
});

test("an idle reader hears of what was written while its socket was dead", patient, async () => {
  await using server = await startQuickServer();
  await using proxy = await startFaultProxy({ target: server.port });
  await using writer = await startDevice();
  await using reader = await startDevice();
  await join(server, [writer]);
  await join(server, [reader], { url: proxy.url });
  await writer.put({ docs: docsOf("before") });
  await hear([reader], ["before"]);
  await reach([reader], "synced");
  await proxy.set("hole");
  const down = proxy.bytesDown;
  await writer.put({ docs: docsOf("meanwhile") });
  // Once it has swallowed the news, this connection will never carry any again.
  await eventually(() => assert(proxy.bytesDown > down, "Expected the hole to swallow the news"));
  await proxy.set("pass");
  await hear([reader], ["meanwhile"]);
});

test("a reader whose socket was reset is live again by itself", patient, async () => {
  await using server = await startServer();
  await using proxy = await startFaultProxy({ target: server.port });
  await using writer = await startDevice();
  await using reader = await startDevice();
  await join(server, [writer]);
  await join(server, [reader], { url: proxy.url });
  await writer.put({ docs: docsOf("before") });
  await hear([reader], ["before"]);
  await proxy.set("reset");
  await writer.put({ docs: docsOf("meanwhile") });
  await writer.flush();
  await proxy.set("pass");
  await hear([reader], ["meanwhile"]);
  await writer.put({ docs: docsOf("after") });
  await hear([reader], ["after"]);
});

test("what was put before the attach arrives, live and for a fresh reader", patient, async () => {
  await using server = await startServer();
  await using a = await startDevice();
  await using b = await startDevice();
  await join(server, [b]);
  await a.put({ docs: docsOf("one", "two", "three") });
  await join(server, [a]);
  await hear([b], ["one", "two", "three"]);
  await a.put({ docs: docsOf("four") });
  await hear([b], ["four"]);
  await using fresh = await startDevice();
  await join(server, [fresh]);
  await have([fresh], ["one", "two", "three", "four"]);
});

test("an attach resolves while the server is down, and syncs later", patient, async () => {
  await using server = await startServer();
  const token = await server.token(ledger);
  await using before = await startDevice();
  await join(server, [before], { token });
  await before.put({ docs: docsOf("old") });
  await before.flush();
  await server.stop();
  await using a = await startDevice();
  await using b = await startDevice();
  await b.put({ docs: docsOf("early") });
  await join(server, [a, b], { token });
  await a.put({ docs: docsOf("new") });
  await reach([a, b], "offline");
  await server.start();
  await have([before, a, b], ["early", "new", "old"]);
  await reach([before, a, b], "synced");
  const walk = await a.walk();
  const steps = ["offline", "syncing", "synced"];
  assertEquals(steps.filter((state) => walk.includes(state)), steps, `Walked ${walk}`);
  assert(walk.indexOf("offline") < walk.lastIndexOf("syncing"), `Walked ${walk}`);
  assertEquals(walk.at(-1), "synced");
});

test("a detached database is on its own; attached again it syncs", patient, async () => {
  await using server = await startServer();
  await using a = await startDevice();
  await using b = await startDevice();
  await using c = await startDevice();
  await join(server, [a, b, c]);
  await a.put({ docs: docsOf("shared") });
  await hear([b, c], ["shared"]);
  await a.flush();
  await a.detach();
  await a.put({ docs: docsOf("private") });
  await b.put({ docs: docsOf("public") });
  // When the others have gone through a whole exchange, a leak would have shown as well.
  await hear([c], ["public"]);
  await c.put({ docs: docsOf("answer") });
  await have([b, c], ["answer", "public", "shared"]);
  await have([a], ["private", "shared"]);
  await join(server, [a]);
  await have([a, b, c], ["answer", "private", "public", "shared"]);
  await a.put({ docs: docsOf("live again") });
  await hear([b, c], ["live again"]);
});

for (const end of ["closed", "killed"] as const) {
  test(`a device ${end} with writes pending loses none of them`, patient, async () => {
    await using server = await startServer();
    await using folder = await makeTempFolder();
    const place = diskPlace(folder.path);
    await using b = await startDevice();
    const token = await server.token(ledger);
    {
      await using first = await startDevice(place);
      await join(server, [first, b], { token });
      await first.put({ docs: docsOf("acknowledged") });
      await hear([b], ["acknowledged"]);
      await server.stop();
      await first.put({ docs: docsOf("pending-1", "pending-2") });
      if (end === "closed") await first.close();
      else await first.kill();
    }
    await using second = await startDevice(place);
    await server.start();
    await join(server, [second], { token });
    await hear([b], ["pending-1", "pending-2"]);
    await have([b, second], ["acknowledged", "pending-1", "pending-2"]);
  });
}

test("flush() waits for the acknowledgement, which a crash does not undo", patient, async () => {
  await using server = await startServer();
  await using proxy = await startFaultProxy({ target: server.port });
  await using a = await startDevice();
  await join(server, [a], { url: proxy.url });
  await a.put({ docs: docsOf("first") });
  await a.flush();
  assertEquals((await a.status()).pending, 0);
  await proxy.set("hole");
  await a.put({ docs: docsOf("second") });
  let flushed = false;
  const flushing = a.flush().then(() => (flushed = true));
  await reach([a], "offline");
  assertEquals(flushed, false);
  assert((await a.status()).pending > 0);
  await proxy.set("pass");
  await flushing;
  await server.kill();
  await server.start();
  await using fresh = await startDevice();
  await join(server, [fresh]);
  await have([fresh], ["first", "second"]);
});

test("flush() rejects when the attachment ends first", patient, async () => {
  await using server = await startServer();
  const token = await server.token(ledger);
  await server.stop();
  await using a = await startDevice();
  await join(server, [a], { token });
  await a.put({ docs: docsOf("never sent") });
  const flushing = assertRejects(() => a.flush());
  await a.detach();
  await flushing;
  await reach([a], "closed");
});

/** A server in this process whose clients find out sooner that their link is dead. */
async function startQuickServer() {
  const backend = await startTestBackend({ heartbeatMs: 2_000 });
  return {
    url: backend.url,
    port: Number(new URL(backend.url).port),
    token: (ledger: string, { right, ...options }: TokenOptions = {}) =>
      backend.token(right, [ledger], options),
    [Symbol.asyncDispose]: () => backend.stop(),
  };
}
