/** SQLite passes the suite of the Registry, in the file and on the connection of the MetaStore. */

import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, describe, it } from "node:test";
import { assertEquals, assertRejects } from "#assert";
import { openSqlite } from "../../../src/backend/stores/sqlite.ts";
import { verifyAudit } from "../../../src/sts/verify_audit.ts";
import { ledger, putOf } from "../../conformance/fixtures.ts";
import { seqOf } from "../../conformance/outcomes.ts";
import { registrySuite } from "../../conformance/registry.ts";
import { registryTamperTests } from "../../conformance/registry_audit.ts";
import { draftOf, memberOf, type RowsPlace } from "../../conformance/registry_fixtures.ts";
import { registryModelTest } from "../../conformance/registry_order.ts";
import { assertFails } from "../../harness/assert_fails.ts";
import { makeTempFolder } from "../../harness/temp_folder.ts";

const folder = await makeTempFolder();
after(() => folder[Symbol.asyncDispose]());
let count = 0;
const newPath = () => join(folder.path, `registry ${count++}.db`);

function makePlace(): Promise<RowsPlace> {
  const path = newPath();
  return Promise.resolve({
    together: false,
    async open() {
      const store = await openSqlite({ path });
      // The store is what holds the file.
      store.registry[Symbol.asyncDispose] = () => store[Symbol.asyncDispose]();
      return store.registry;
    },
    tamper: (statement) =>
      Promise.try(() => {
        const database = new DatabaseSync(path);
        database.exec(statement);
        database.close();
      }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
}

registrySuite("sqlite", makePlace);

describe("the registry of a SQLite file", () => {
  registryModelTest(makePlace);
  registryTamperTests(makePlace);

  it("is written to while commits go on, each whole", async () => {
    await using store = await openSqlite({ path: newPath() });
    const { registry } = store;
    const works = Array.from({ length: 20 }, (_, at) => [
      store.commit([putOf(`put ${at}`)]).then(([outcome]) => seqOf(outcome)),
      registry.write([{ ...memberOf(`${at}`), value: "x" }], draftOf("x")),
      // One that fails takes nothing of its neighbours along.
      assertRejects(() => registry.write([], draftOf("\0"))).then(() => "refused"),
    ]);
    const expected = works.map((_, at) => [at + 1, at + 1, "refused"]);
    assertEquals<unknown>(await Promise.all(works.map((it) => Promise.all(it))), expected);
    assertEquals(await store.bounds(ledger), { floor: 0, head: 20 });
    assertEquals((await verifyAudit(registry)).end.number, 20);
  });

  it("refuses a write when there is no room, and keeps nothing of it", async () => {
    await using store = await openSqlite({ path: newPath(), maxBytes: 1 << 18 });
    const { registry } = store;
    const large = Array.from({ length: 32 }, (_, at) => ({
      ...memberOf(`${at}`),
      value: "x".repeat(16 * 1024),
    }));
    await registry.write([{ ...memberOf("a"), value: "x" }], draftOf("x"));
    await assertFails("STORAGE_FULL", () => registry.write(large, draftOf("x")));
    assertEquals((await registry.changes(0, 100)).number, 1);
    assertEquals(await registry.write([{ ...memberOf("b"), value: "x" }], draftOf("x")), 2);
    assertEquals((await verifyAudit(registry)).end.number, 2);
  });

  it("comes into a file of the release before it, which keeps what it holds", async () => {
    const path = newPath();
    await openSqlite({ path }).then(async (store) => {
      await store.commit([putOf("a")]);
      await store[Symbol.asyncDispose]();
    });
    const database = new DatabaseSync(path);
    database.exec("drop table record; drop table audit; drop table registry");
    database.exec("pragma user_version = 2");
    database.close();
    await using store = await openSqlite({ path });
    assertEquals(await store.registry.write([], draftOf("x")), 0);
    assertEquals(await store.bounds(ledger), { floor: 0, head: 1 });
  });

  it("ends with the store", async () => {
    const store = await openSqlite({ path: newPath() });
    const { registry } = store;
    await registry[Symbol.asyncDispose]();
    assertEquals(await registry.get([memberOf("a")]), []);
    await store[Symbol.asyncDispose]();
    await assertFails("UNAVAILABLE", () => registry.get([memberOf("a")]));
    await assertFails("UNAVAILABLE", () => registry.write([], draftOf("x")));
  });
});
