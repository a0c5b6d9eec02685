/** Real Fireproof databases on a real server: what one writes, the others hear. */

import { test } from "node:test";
import { assertEquals } from "#assert";
import { memoryPlace, startDevice } from "../harness/device.ts";
import { findRuntime, runtimeNames } from "../harness/runtimes.ts";
import { startServer } from "../harness/server_process.ts";
import { requirement } from "../require.ts";
import { docsOf, have, hear, idsOf, join, long, patient } from "./scene.ts";

for (const transport of ["auto", "websocket", "http"] as const) {
  test(`two databases hear each other live, by transport "${transport}"`, patient, async () => {
    await using server = await startServer();
    await using a = await startDevice();
    await using b = await startDevice();
    await join(server, [a, b], { transport });
    await a.put({ docs: docsOf("from-a") });
    await hear([b], ["from-a"]);
    await b.put({ docs: docsOf("from-b") });
    await hear([a], ["from-b"]);
    await a.put({ docs: [{ _id: "from-b", text: "changed by a" }] });
    await b.put({ docs: docsOf("last") });
    await hear([a, b], ["last"]);
    await have([a, b], ["from-a", "from-b", "last"]);
    await a.flush();
    await b.flush();
    await a.remove({ id: "from-a" });
    await have([a, b], ["from-b", "last"]);
    assertEquals((await b.docs())["from-b"]?.text, "changed by a");
  });
}

test("processes on all three runtimes share one ledger", {
  ...patient,
  skip: requirement("runtimes", () => {
    const absent = runtimeNames.filter((name) => !findRuntime(name));
    return absent.length > 0 ? `${absent.join(", ")} not on PATH` : undefined;
  }),
}, async () => {
  await using server = await startServer();
  await using deno = await startDevice(memoryPlace(), findRuntime("deno"));
  await using bun = await startDevice(memoryPlace(), findRuntime("bun"));
  await using node = await startDevice(memoryPlace(), findRuntime("node"));
  const devices = [deno, bun, node];
  await join(server, devices);
  await deno.put({ docs: docsOf("deno") });
  await hear([bun, node], ["deno"]);
  await bun.put({ docs: docsOf("bun") });
  await hear([deno, node], ["bun"]);
  await node.put({ docs: docsOf("node") });
  await hear([deno, bun], ["node"]);
  await have(devices, ["bun", "deno", "node"]);
  const contents = await Promise.all(devices.map((device) => device.docs()));
  assertEquals(contents[1], contents[0]);
  assertEquals(contents[2], contents[0]);
});

test("three writers at once converge, and no reader ever misses a block", long, async () => {
  await using server = await startServer();
  await using a = await startDevice();
  await using b = await startDevice();
  await using c = await startDevice();
  await using reader = await startDevice();
  const writers = [a, b, c];
  await join(server, [...writers, reader]);
  const names = ["a", "b", "c"].map((name) => idsOf(name, 15));
  const writing = Promise.all(writers.map((device, at) => {
    // Every writer also writes the document that all fight for.
    const docs = (names[at] ?? []).flatMap((id) => [...docsOf(id), { _id: "shared", text: id }]);
    return device.put({ docs });
  }));
  let written = false;
  void writing.finally(() => (written = true)).catch(() => {}); // Awaited below.
  // docs() notes a failure as a fault, which the end of the device asserts away.
  while (!written) await reader.docs();
  await writing;
  await using late = await startDevice();
  await join(server, [late]);
  await have([...writers, reader, late], [...names.flat(), "shared"]);
  const found = await Promise.all([...writers, reader, late].map((device) => device.docs()));
  for (const docs of found) assertEquals(docs, found[0]);
});
