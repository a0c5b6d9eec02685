/** Only who may: what a database does whose token does not allow everything. */

import { test } from "node:test";
import { assertEquals, assertRejects } from "#assert";
import { connect, HearthError } from "../../mod.ts";
import { localDevice, startDevice } from "../harness/device.ts";
import { eventually } from "../harness/eventually.ts";
import { type ServerProcess, startServer } from "../harness/server_process.ts";
import { docsOf, have, hear, join, ledger, patient, reach } from "./scene.ts";

test("with a right to read, reads sync and writes stay on the device, told", patient, async () => {
  await using server = await startServer();
  await using writer = await startDevice();
  await using reader = await startDevice();
  await join(server, [writer]);
  await join(server, [reader], { right: "read" });
  await writer.put({ docs: docsOf("one") });
  await hear([reader], ["one"]);
  await reader.put({ docs: docsOf("mine") });
  await reach([reader], "denied");
  assertEquals((await reader.status()).code, "FORBIDDEN");
  await assertRejects(() => reader.flush());
  await writer.put({ docs: docsOf("two") });
  await hear([reader], ["two"]);
  await have([reader], ["mine", "one", "two"]);
  await writer.flush();
  await have([writer], ["one", "two"]);
});

for (
  const { what, code, token } of [
    {
      what: "that is no token",
      code: "UNAUTHENTICATED",
      token: () => Promise.resolve("not.a.token"),
    },
    {
      what: "for another ledger",
      code: "FORBIDDEN",
      token: (server: ServerProcess) => server.token("acme/other"),
    },
  ]
) {
  test(`with a token ${what} the app works on, and the status says why`, patient, async () => {
    await using server = await startServer();
    await using device = await startDevice();
    await device.put({ docs: docsOf("before") });
    await join(server, [device], { token: await token(server) });
    await device.put({ docs: docsOf("after") });
    await reach([device], "denied");
    assertEquals((await device.status()).code, code);
    await assertRejects(() => device.flush());
    await have([device], ["after", "before"]);
    await using owner = await startDevice();
    await join(server, [owner]);
    await reach([owner], "synced");
    await have([owner], []);
  });
}

test("two ledgers of two tenants in one process do not mix", patient, async () => {
  await using server = await startServer();
  await using ofAcme = await localDevice();
  await using ofBeta = await localDevice();
  await using otherOfAcme = await startDevice();
  await using otherOfBeta = await startDevice();
  await join(server, [ofAcme, otherOfAcme], { ledger: "acme/todos" });
  await join(server, [ofBeta, otherOfBeta], { ledger: "beta/todos" });
  await ofAcme.put({ docs: docsOf("acme-1") });
  await ofBeta.put({ docs: docsOf("beta-1") });
  await otherOfAcme.put({ docs: docsOf("acme-2") });
  await otherOfBeta.put({ docs: docsOf("beta-2") });
  await have([ofAcme, otherOfAcme], ["acme-1", "acme-2"]);
  await have([ofBeta, otherOfBeta], ["beta-1", "beta-2"]);
  for (const device of [ofAcme, ofBeta]) await device.flush();
  const keysOfAcme = await keysOf(server, "acme/todos");
  const keysOfBeta = await keysOf(server, "beta/todos");
  assertEquals([keysOfAcme.length, keysOfBeta.length], [2, 2]);
  assertEquals(keysOfAcme.filter((key) => keysOfBeta.includes(key)), []);
});

async function keysOf(server: ServerProcess, name: string): Promise<readonly string[]> {
  await using client = connect({ url: server.url, token: await server.token(name) });
  const keys: string[] = [];
  const watch = client.watch(name, { onChanges: (changes) => void keys.push(...changes.keys) });
  await eventually(() => assertEquals(keys.length > 0, true, "Expected keys"));
  watch.close();
  return keys;
}

test("a token for one ledger cannot be had for another by its name", patient, async () => {
  await using server = await startServer();
  await using client = connect({ url: server.url, token: await server.token(ledger) });
  const blob = { store: "car", cid: `baembei${"a".repeat(52)}` } as const;
  assertEquals(await client.missing(ledger, [blob]), [blob]);
  for (const other of ["acme/todo", "acme/todos2", "beta/todos"]) {
    const error = await assertRejects(() => client.missing(other, [blob]));
    assertEquals(error instanceof HearthError && error.code, "FORBIDDEN");
  }
});
