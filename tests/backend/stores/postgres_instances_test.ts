/** Several servers on one database: they start, write and read at once. */

import { after, describe, it } from "node:test";
import { assert, assertEquals } from "#assert";
import type { Commit, MetaStore } from "../../../src/backend/stores/meta_store.ts";
import { openPostgres } from "../../../src/backend/stores/postgres.ts";
import { cidOf, putOf } from "../../conformance/fixtures.ts";
import { names } from "../../conformance/outcomes.ts";
import { openTestDatabases } from "../../harness/postgres_server.ts";
import { type Random, seededRandom, testSeed } from "../../random.ts";

const databases = openTestDatabases();
after(() => databases[Symbol.asyncDispose]());

const ledgers = ["acme/todos", "acme/notes", "other/todos"];
const batches = 12;

describe("several Postgres stores on one database", () => {
  for (const partitions of [0, 2]) {
    it(`start at once on an empty one (${partitions} parts)`, async () => {
      await using database = await databases.take();
      const open = () => openPostgres({ url: database.url, partitions });
      const stores = await Promise.all([open(), open(), open(), open()]);
      assertEquals(new Set(stores.map((it) => it.epoch)).size, 1);
      for (const store of stores) await store[Symbol.asyncDispose]();
    });

    it(`number every ledger without a gap, whoever writes (${partitions} parts)`, async () => {
      const random = seededRandom(testSeed());
      await using database = await databases.take();
      const open = () => openPostgres({ url: database.url, partitions });
      const stores = await Promise.all([open(), open(), open()]);
      const writing = new AbortController();
      const readers = ledgers.map((ledger, at) => follow(pick(stores, at), ledger, writing.signal));
      const writers = stores.map((store) => write(store, random));
      // All have ended before the database goes, also when one of them fails.
      await Promise.allSettled(writers);
      writing.abort();
      await Promise.allSettled(readers);
      const told = await Promise.all(writers);
      await Promise.all(readers);
      for (const ledger of ledgers) {
        const log = names(await pick(stores, 0).log(ledger, 0, 1e6));
        const fresh = told.flat().filter((it) => it.ledger === ledger);
        // Each meta was new to one commit alone, which was told its very place.
        assertEquals(fresh.length, log.length);
        for (const { seq, cid } of fresh) assertEquals(log[seq - 1], cid);
        assertEquals(new Set(log).size, log.length);
        assertEquals((await pick(stores, 1).bounds(ledger))?.head ?? 0, log.length);
        assertEquals((await pick(stores, 2).inventory(ledger, 1e6)).length, log.length);
      }
      for (const store of stores) await store[Symbol.asyncDispose]();
    });
  }

  it("create a ledger once, and none for what is refused", async () => {
    await using database = await databases.take();
    const stores = await Promise.all([1, 2, 3].map(() => openPostgres({ url: database.url })));
    const refused = putOf("a", { ledger: "acme/refused", blobs: [] });
    const outcomes = await Promise.all(
      stores.map((store) => store.commit([refused, putOf("a", { ledger: "acme/new" })])),
    );
    assertEquals(outcomes.map(([first]) => first?.kind), ["missing", "missing", "missing"]);
    const fresh = outcomes.map(([, it]) => it?.kind === "done" ? it.fresh.length : -1);
    assertEquals(fresh.toSorted(), [0, 0, 1]);
    assertEquals(await pick(stores, 0).bounds("acme/refused"), undefined);
    assertEquals(await pick(stores, 0).bounds("acme/new"), { floor: 0, head: 1 });
    for (const store of stores) await store[Symbol.asyncDispose]();
  });
});

/** Writes batches that others write too. @returns what was told as new */
async function write(store: MetaStore, random: Random) {
  const told: { readonly ledger: string; readonly seq: number; readonly cid: string }[] = [];
  for (let batch = 0; batch < batches; batch++) {
    const commits = Array.from({ length: 1 + random.below(8) }, () => draw(random));
    const outcomes = await store.commit(commits);
    for (const [at, { ledger, metas }] of commits.entries()) {
      const outcome = outcomes[at];
      assert(outcome?.kind === "done");
      const [cid = ""] = metas.map((meta) => meta.cid);
      if (outcome.fresh.length > 0) told.push({ ledger, seq: outcome.seq, cid });
    }
  }
  return told;
}

function draw(random: Random): Commit {
  const name = `put ${random.below(150)}`;
  const supersedes = [cidOf(`put ${random.below(150)}`)];
  return putOf(name, { ledger: random.pick(ledgers), keys: [`k${random.below(9)}`], supersedes });
}

/** Reads on from where it is until there is no more writing, and never sees a gap. */
async function follow(store: MetaStore, ledger: string, end: AbortSignal): Promise<void> {
  for (let seq = 0, isLast = false; !isLast;) {
    isLast = end.aborted;
    const page = await store.log(ledger, seq, 5);
    assertEquals(page.metas.length, page.seq - seq);
    const { metas, seq: head } = await store.heads(ledger);
    assert(metas.length <= head && head >= page.seq);
    isLast &&= !page.more;
    seq = page.seq;
  }
}

function pick(stores: readonly MetaStore[], at: number): MetaStore {
  const store = stores[at % stores.length];
  assert(store);
  return store;
}
