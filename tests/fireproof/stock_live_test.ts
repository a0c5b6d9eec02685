/** Unmodified Fireproof apps on a real server: `toCloud()` with another URL. */

import { test } from "node:test";
import { assertEquals } from "#assert";
import { diskPlace, memoryPlace, startDevice } from "../harness/device.ts";
import { findRuntime, runtimeNames } from "../harness/runtimes.ts";
import { startServer } from "../harness/server_process.ts";
import { makeTempFolder } from "../harness/temp_folder.ts";
import { requirement } from "../require.ts";
import { docsOf, have, hear, idsOf, patient } from "./scene.ts";
import { joinStock } from "./stock_scene.ts";

test("two stock clients hear each other live, and a fresh one has all", patient, async () => {
  await using server = await startServer();
  await using a = await startDevice();
  await using b = await startDevice();
  await joinStock(server, [a, b]);
  await a.put({ docs: docsOf("from-a") });
  await hear([b], ["from-a"]);
  await b.put({ docs: docsOf("from-b") });
  await hear([a], ["from-b"]);
  await using late = await startDevice();
  await joinStock(server, [late]);
  await have([a, b, late], ["from-a", "from-b"]);
});

test("stock clients on all three runtimes share one ledger", {
  ...patient,
  skip: requirement("runtimes", () => {
    const absent = runtimeNames.filter((name) => !findRuntime(name));
    return absent.length > 0 ? `${absent.join(", ")} not on PATH` : undefined;
  }),
}, async () => {
  await using server = await startServer();
  await using folder = await makeTempFolder();
  await using deno = await startDevice(diskPlace(`${folder.path}/d`), findRuntime("deno"));
  await using bun = await startDevice(diskPlace(`${folder.path}/b`), findRuntime("bun"));
  await using node = await startDevice(diskPlace(`${folder.path}/n`), findRuntime("node"));
  const devices = [deno, bun, node];
  await joinStock(server, devices);
  await deno.put({ docs: docsOf("deno") });
  await bun.put({ docs: docsOf("bun") });
  await node.put({ docs: docsOf("node") });
  await have(devices, ["bun", "deno", "node"]);
});

test("a commit of more than 1 MB reaches stock clients, live and fresh", patient, async () => {
  await using server = await startServer();
  await using a = await startDevice();
  await using b = await startDevice();
  await joinStock(server, [a, b]);
  const ids = idsOf("large", 24);
  await a.bulk({ ids, bytesEach: 100_000 });
  await have([b], ids);
  await using late = await startDevice();
  await joinStock(server, [late]);
  await have([late], ids);
});

test("two tenants with a ledger of the same name see nothing of each other", patient, async () => {
  await using server = await startServer();
  await using a = await startDevice();
  await using b = await startDevice();
  await using a2 = await startDevice();
  await using b2 = await startDevice();
  await joinStock(server, [a, a2], { ledger: "acme/todos", subject: "alice" });
  await joinStock(server, [b, b2], { ledger: "umbrella/todos", subject: "bob" });
  await a.put({ docs: docsOf("of-acme") });
  await b.put({ docs: docsOf("of-umbrella") });
  await have([a, a2], ["of-acme"]);
  await have([b, b2], ["of-umbrella"]);
});

test(
  "a stock client that was idle over a restart is up to date with its next write",
  patient,
  async () => {
    await using server = await startServer();
    await using a = await startDevice();
    await using b = await startDevice();
    await joinStock(server, [a, b]);
    await a.put({ docs: docsOf("before") });
    await hear([b], ["before"]);
    await server.stop();
    await server.start();
    await a.put({ docs: docsOf("after") });
    await using late = await startDevice(memoryPlace());
    await joinStock(server, [late]);
    await have([late], ["after", "before"]);
    // It reconnects with its old ids, and is given what it missed.
    await b.put({ docs: docsOf("own") });
    await have([a, b, late], ["after", "before", "own"]);
  },
);

test("a stock client without the right to write leaves no trace with others", patient, async () => {
  await using server = await startServer();
  await using a = await startDevice();
  const reader = await startDevice();
  await joinStock(server, [a]);
  await joinStock(server, [reader], { right: "read" });
  await a.put({ docs: docsOf("told") });
  await have([reader], ["told"]);
  await reader.put({ docs: docsOf("forbidden") });
  await a.put({ docs: docsOf("more") });
  await have([reader], ["forbidden", "more", "told"]);
  await have([a], ["more", "told"]);
  // The client does not catch the refusal of its upload: its process has noted it as a fault.
  assertEquals((await reader.faults()).length > 0, true);
  await reader.kill();
});
