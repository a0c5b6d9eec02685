/** Two servers that write to the same ledgers, in turn and at once, with a plain model as judge. */

import { after, describe, it } from "node:test";
import { assert, assertEquals } from "#assert";
import type { MetaStore } from "../../../src/backend/stores/meta_store.ts";
import { openPostgres } from "../../../src/backend/stores/postgres.ts";
import { refOf } from "../../conformance/fixtures.ts";
import { LedgerModel } from "../../conformance/ledger_model.ts";
import { metaStoreModelTest } from "../../conformance/meta_store_model.ts";
import { done, toldOf } from "../../conformance/outcomes.ts";
import { startPostgresProxy } from "../../harness/postgres_proxy.ts";
import { openTestDatabases } from "../../harness/postgres_server.ts";
import { type Random, seededRandom, testSeed } from "../../random.ts";
import { RandomWriter, type Told } from "./random_writer.ts";

const databases = openTestDatabases();
after(() => databases[Symbol.asyncDispose]());

const ledgers = ["acme/todos", "acme/notes", "other/todos"];
const rounds = 12;
/** More batches than a server asks for once it has begun to doubt its memory. */
const roundsAlone = 80;

/** The machine may be busy, and each cut costs a connection. */
const bounded = { timeout: 120_000 };

describe("two Postgres stores that are used in turn", () => {
  metaStoreModelTest(openInTurn);
});

describe("two Postgres stores that write at once", () => {
  for (const [what, partitions, cuts] of kinds()) {
    it(`come to what a plain model comes to in the order of seqs (${what})`, bounded, async () => {
      const random = seededRandom(testSeed());
      const told: Told[] = [];
      await using servers = await openServers(partitions);
      const writers = servers.all.map(({ store, proxy }, at) =>
        new RandomWriter({ name: `writer ${at}`, store, proxy, ledgers, random, told, cuts })
      );
      const [one, other] = writers;
      assert(one && other);
      // Alone in between, so that each comes to rely on its memory, and then is mistaken.
      for (const alone of [one, other, undefined]) {
        await Promise.all(writers.map((writer) => writer.write(rounds)));
        await alone?.put(roundsAlone);
      }
      for (const ledger of ledgers) {
        const model = judge(told.filter((it) => ledgerOf(it) === ledger));
        const refs = [...model.blobs.map(({ blob }) => blob), refOf("absent")];
        for (const { store } of writers) await model.compare(store, ledger, { random, refs });
      }
      for (const { proxy } of writers) {
        // Both ways were really in use.
        assert(proxy.kept.statement > 0 && proxy.kept.transaction > 0, JSON.stringify(proxy.kept));
        assertEquals(proxy.cuts > 0, cuts);
      }
    });
  }
});

function kinds(): readonly (readonly [what: string, partitions: number, cuts: boolean])[] {
  return [["whole tables", 0, false], ["tables in parts", 2, false], ["cut at any byte", 0, true]];
}

/** Does everything again on a model, in the order of seqs, and compares what was told. */
function judge(all: readonly Told[]): LedgerModel {
  const model = new LedgerModel();
  const changes = all.filter(isChange).toSorted((one, other) => seqOf(one) - seqOf(other));
  assertEquals(changes.map(seqOf), changes.map((_, at) => at + 1), "each seq was told once");
  for (const it of changes) {
    if (it.kind === "delete") assertEquals(model.delete([it.cid]), it.seq);
    else assertEquals<unknown>(toldOf(it.outcome), model.commit(it.commit));
  }
  // What is left was refused, or repeats: each of them is told the same at any time, and changes nothing.
  for (const it of all) {
    if (it.kind === "commit" && !isChange(it)) {
      assertEquals<unknown>(toldOf(it.outcome), model.commit(it.commit));
    }
  }
  return model;
}

function isChange(told: Told): boolean {
  return told.kind === "delete" || (told.outcome.kind === "done" && told.outcome.fresh.length > 0);
}

function seqOf(told: Told): number {
  return told.kind === "delete" ? told.seq : done(told.outcome).seq;
}

function ledgerOf(told: Told): string {
  return told.kind === "delete" ? told.ledger : told.commit.ledger;
}

/** Two stores on one database, each behind a proxy. */
async function openServers(partitions: number) {
  const database = await databases.take();
  const all = await Promise.all([1, 2].map(async () => {
    const proxy = await startPostgresProxy();
    return { proxy, store: await openPostgres({ url: proxy.through(database.url), partitions }) };
  }));
  return {
    all,
    async [Symbol.asyncDispose]() {
      for (const { store, proxy } of all) {
        await store[Symbol.asyncDispose]();
        await proxy[Symbol.asyncDispose]();
      }
      await database[Symbol.asyncDispose]();
    },
  };
}

/** Two stores on one database as one: each call goes to either of them. */
async function openInTurn(): Promise<MetaStore> {
  const random: Random = seededRandom(testSeed());
  const servers = await openServers(0);
  const any = () => random.pick(servers.all).store;
  return {
    epoch: any().epoch,
    batchesAtOnce: 1,
    commit: (...all) => any().commit(...all),
    bounds: (...all) => any().bounds(...all),
    boundsOf: (...all) => any().boundsOf(...all),
    log: (...all) => any().log(...all),
    heads: (...all) => any().heads(...all),
    deleteMetas: (...all) => any().deleteMetas(...all),
    findBlobs: (...all) => any().findBlobs(...all),
    listBlobs: (...all) => any().listBlobs(...all),
    inventory: (...all) => any().inventory(...all),
    hold: (...all) => any().hold(...all),
    heldMetas: (...all) => any().heldMetas(...all),
    unhold: (...all) => any().unhold(...all),
    heldLedgers: (...all) => any().heldLedgers(...all),
    getWal: (...all) => any().getWal(...all),
    putWal: (...all) => any().putWal(...all),
    deleteWal: (...all) => any().deleteWal(...all),
    [Symbol.asyncDispose]: () => servers[Symbol.asyncDispose](),
  };
}
