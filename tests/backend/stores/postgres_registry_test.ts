/** Postgres passes the suite of the Registry; and what happens when connections end amid writes. */

import { after, describe, it } from "node:test";
import { assert, assertEquals } from "#assert";
import { openPostgres } from "../../../src/backend/stores/postgres.ts";
import { openPostgresRegistry } from "../../../src/backend/stores/postgres_registry.ts";
import type { RecordWrite, Registry } from "../../../src/sts/registry.ts";
import { verifyAudit } from "../../../src/sts/verify_audit.ts";
import { registrySuite } from "../../conformance/registry.ts";
import { registryTamperTests } from "../../conformance/registry_audit.ts";
import { draftOf, memberOf, type RowsPlace } from "../../conformance/registry_fixtures.ts";
import { registryModelTest } from "../../conformance/registry_order.ts";
import { assertFails } from "../../harness/assert_fails.ts";
import { startPostgresProxy } from "../../harness/postgres_proxy.ts";
import { openTestDatabases } from "../../harness/postgres_server.ts";
import { seededRandom, testSeed } from "../../random.ts";

const databases = openTestDatabases();
after(() => databases[Symbol.asyncDispose]());

async function makePlace(): Promise<RowsPlace> {
  const { url, query, ...database } = await databases.take();
  return {
    together: true,
    open: () => openPostgresRegistry({ url }),
    tamper: async (statement) => {
      await query(statement.replace(/\baudit\b(?= set| where|$)/g, "hearth.audit"));
    },
    [Symbol.asyncDispose]: database[Symbol.asyncDispose],
  };
}

registrySuite("postgres", makePlace);

const put = (name: string, version?: number): RecordWrite => ({
  ...memberOf(name),
  value: name,
  version,
});

/** What a log tells that its writes put in it. */
async function targetsOf(registry: Registry): Promise<readonly string[]> {
  assertEquals((await verifyAudit(registry)).broken, undefined);
  return (await registry.audit(0, 1000)).map(({ target }) => target);
}

describe("a registry in Postgres", () => {
  registryModelTest(makePlace);
  registryTamperTests(makePlace);

  it("may be written to by others", async () => {
    await using place = await makePlace();
    await using registry = await place.open();
    assertEquals(registry.shared, true);
  });

  it("lies beside a MetaStore in parts", async () => {
    await using database = await databases.take();
    await using _store = await openPostgres({ url: database.url, partitions: 2 });
    await using registry = await openPostgresRegistry({ url: database.url });
    assertEquals(await registry.write([put("a")], draftOf("x")), 1);
  });

  for (const cut of ["before-commit", "after-commit"] as const) {
    it(`keeps a write once whose connection ends, and tells so (${cut})`, async () => {
      await using database = await databases.take();
      await using proxy = await startPostgresProxy();
      await using registry = await openPostgresRegistry({ url: proxy.through(database.url) });
      assertEquals(await registry.write([put("a", 0)], draftOf("first")), 1);
      proxy.cutNext(cut);
      // At a version: kept at the first attempt, it would be a conflict at the second.
      assertEquals(await registry.write([put("a", 1), put("b", 0)], draftOf("second")), 3);
      assertEquals(proxy.cuts, 1);
      proxy.cutNext(cut);
      assertEquals(await registry.write([], draftOf("third")), 3);
      assertEquals(proxy.cuts, 2);
      proxy.cutNext(cut);
      const removed = [{ ...memberOf("a"), version: 2, value: null, endsAt: 1 }];
      assertEquals(await registry.write(removed, draftOf("fourth")), 4);
      assertEquals(proxy.cuts, 3);
      assertEquals(await targetsOf(registry), ["first", "second", "third", "fourth"]);
      proxy.cutNext("before-commit");
      assertEquals(await registry.sweep(1, 10), 1);
      assertEquals(proxy.cuts, 4);
      assertEquals((await registry.changes(0, 10)).records.map(({ version }) => version), [3]);
    });
  }

  it("does not take the same write of another server for its own", async () => {
    await using database = await databases.take();
    await using proxy = await startPostgresProxy();
    await using registry = await openPostgresRegistry({ url: proxy.through(database.url) });
    await using other = await openPostgresRegistry({ url: database.url });
    await registry.write([put("ticket", 0)], draftOf("made"));
    for (let round = 0; round < 10; round++) {
      const [record] = await registry.get([memberOf("ticket")]);
      assert(record);
      // The lost write is repeated after a pause: then the other's is kept, in the place it had.
      proxy.cutNext("before-commit");
      const both = await Promise.all(
        [registry, other].map((it) =>
          it.write([put("ticket", record.version)], draftOf(`round ${round}`))
        ),
      );
      assertEquals(both.filter((it) => it !== undefined), [record.version + 1]);
    }
    assertEquals((await targetsOf(registry)).length, 11);
  });

  it("comes out the same at whatever byte connections are cut", { timeout: 120_000 }, async () => {
    const random = seededRandom(testSeed());
    await using database = await databases.take();
    await using proxy = await startPostgresProxy();
    await using one = await openPostgresRegistry({ url: proxy.through(database.url) });
    await using other = await openPostgresRegistry({ url: proxy.through(database.url) });
    const rounds = 25;
    const writers = [one, other].map(async (registry, writer) => {
      let version = 0;
      for (let round = 0; round < rounds; round++) {
        proxy.cutNext(random.below(3000));
        const number = await registry.write([put(`w${writer}`, version)], draftOf(`w${writer}`));
        assert(number !== undefined, `round ${round} of writer ${writer} was told as a conflict`);
        version = number;
      }
    });
    await Promise.all(writers);
    proxy.cutNext(undefined);
    assert(proxy.cuts > 0);
    assertEquals((await targetsOf(one)).length, 2 * rounds);
    assertEquals((await one.changes(0, 10)).number, 2 * rounds);
  });

  it("refuses a write in time while somebody else holds the lock, and reads on", async () => {
    await using database = await databases.take();
    await using registry = await openPostgresRegistry({ url: database.url, lockTimeoutMs: 50 });
    await registry.write([put("a")], draftOf("x"));
    await database.query("begin; select from hearth.registry for update");
    await assertFails("UNAVAILABLE", () => registry.write([put("b")], draftOf("x")));
    assertEquals((await registry.get([memberOf("a"), memberOf("b")])).length, 1);
    await database.query("rollback");
    assertEquals(await registry.write([put("b")], draftOf("x")), 2);
  });

  it("refuses calls after its end", async () => {
    await using place = await makePlace();
    const registry = await place.open();
    await registry[Symbol.asyncDispose]();
    await assertFails("UNAVAILABLE", () => registry.get([memberOf("a")]));
    await assertFails("UNAVAILABLE", () => registry.write([], draftOf("x")));
  });
});
