/** Batches right behind each other on one connection: each right, and in the order of their calls. */

import { after, describe, it } from "node:test";
import { assert, assertEquals, assertRejects } from "#assert";
import type { Commit, MetaStore, Outcome } from "../../../src/backend/stores/meta_store.ts";
import { openPostgres, type PostgresOptions } from "../../../src/backend/stores/postgres.ts";
import { openSession } from "../../../src/backend/stores/postgres_session.ts";
import { HearthError } from "../../../src/protocol/errors.ts";
import {
  blobOf,
  cidOf,
  commitOf,
  ledger,
  metaOf,
  putOf,
  refOf,
} from "../../conformance/fixtures.ts";
import { commitOne, done, named, names, seqOf, toldOf } from "../../conformance/outcomes.ts";
import { eventually } from "../../harness/eventually.ts";
import { startPostgresProxy } from "../../harness/postgres_proxy.ts";
import { openTestDatabases, type TestDatabase } from "../../harness/postgres_server.ts";

const databases = openTestDatabases();
after(() => databases[Symbol.asyncDispose]());

const notes = "acme/notes";

describe("a batch whose ledgers are remembered", () => {
  it("is one statement, and another one follows before its answer", async () => {
    await using test = await setUp();
    const { store, proxy, database } = test;
    const before = { ...proxy.kept };
    await database.query("begin; select from hearth.ledger for update");
    const both = commitAtOnce(store, [[putOf("b")], [putOf("c"), putOf("d")]]);
    await eventually(() => assertEquals(proxy.mostAtOnce, 2), { everyMs: 20 });
    await database.query("rollback");
    const { outcomes, order } = await both;
    assertEquals(order, [0, 1]);
    assertEquals(outcomes.map((batch) => batch.map(seqOf)), [[2], [3, 4]]);
    assertEquals(proxy.kept, { ...before, statement: before.statement + 2 });
    assertEquals(names(await store.log(ledger, 0, 10)), named("a", "b", "c", "d"));
  });

  it("asks for what may be there already, and changes nothing of it", async () => {
    await using test = await setUp();
    const { store, proxy } = test;
    const many = Array.from({ length: 1100 }, (_, at) => `many ${at}`);
    await commitOne(store, commitOf({ metas: many.map((it) => metaOf(it)), keys: many }));
    // Of each kind one that memory does not hold, or no more: the statement finds it there.
    const again = {
      blob: commitOf({ blobs: [blobOf("a", "other bytes")], metas: [metaOf("b", [refOf("a")])] }),
      meta: commitOf({ metas: [metaOf("many 0")] }),
      key: commitOf({ metas: [metaOf("c")], keys: ["many 0", "new"] }),
    };
    const expected = {
      blob: { kind: "done", seq: 1102, fresh: again.blob.metas, keys: [], blobs: [] },
      meta: { kind: "done", seq: 2, fresh: [], keys: [], blobs: [] },
      key: { kind: "done", seq: 1103, fresh: again.key.metas, keys: ["new"], blobs: [] },
    } as const;
    for (const kind of ["blob", "meta", "key"] as const) {
      await remember(store, [ledger]);
      const before = { ...proxy.kept };
      assertEquals<Outcome>(await commitOne(store, again[kind]), expected[kind], kind);
      assertEquals(proxy.kept, { ...before, transaction: before.transaction + 1 }, kind);
    }
    const [stored] = await store.findBlobs(ledger, [refOf("a")]);
    assertEquals(stored?.bytes, blobOf("a").bytes);
  });

  for (const partitions of [0, 2]) {
    it(`takes locks in the order of all servers (${partitions} parts)`, async () => {
      await using test = await setUp({ partitions });
      const { store, database, proxy } = test;
      await commitOne(store, putOf("a", { ledger: notes }));
      const before = { ...proxy.kept };
      await database.query("begin; select from hearth.ledger where ledger = 'notes' for update");
      const both = store.commit([putOf("b"), putOf("b", { ledger: notes })]);
      await eventually(async () => assertEquals(await waiting(database), 1), { everyMs: 20 });
      const free = await database.query(
        "select ledger from hearth.ledger where ledger = 'todos' for update skip locked",
      );
      await database.query("rollback");
      assertEquals((await both).map(seqOf), [2, 2]);
      // It waited for the first in order of name, and held nothing that comes later.
      assertEquals(free, [{ ledger: "todos" }]);
      assertEquals(proxy.kept, { ...before, statement: before.statement + 1 });
    });
  }
});

describe("batches at once", () => {
  it("keep their order when the first one has to ask", async () => {
    const first: Readonly<Record<string, readonly Commit[]>> = {
      "for an old blob": [commitOf({ metas: [metaOf("b", [refOf("a")])] })],
      "for an unknown ledger": [putOf("n", { ledger: notes }), putOf("b")],
      "for a meta to supersede": [putOf("b", { supersedes: [cidOf("unknown")] })],
    };
    for (const [why, batch] of Object.entries(first)) {
      await using test = await setUp();
      const { store, proxy } = test;
      const before = { ...proxy.kept };
      const { outcomes, order } = await commitAtOnce(store, [batch, [putOf("c")], [putOf("d")]]);
      assertEquals(outcomes.map((it) => seqOf(it.at(-1))), [2, 3, 4], why);
      assertEquals(order, [0, 1, 2], why);
      assertEquals(proxy.kept.transaction, before.transaction + 1, why);
      assertEquals(names(await store.log(ledger, 0, 10)), named("a", "b", "c", "d"), why);
    }
  });

  it("keep their order when another server has written", async () => {
    await using test = await setUp();
    const { store, proxy, database } = test;
    await using other = await openPostgres({ url: database.url });
    await commitOne(other, putOf("b", { supersedes: [cidOf("a")] }));
    const before = { ...proxy.kept };
    const { outcomes, order } = await commitAtOnce(store, [
      [putOf("c", { supersedes: [cidOf("a")] })],
      [putOf("b"), putOf("d", { supersedes: [cidOf("c")] })],
    ]);
    assertEquals(outcomes.map((it) => it.map(seqOf)), [[3], [2, 4]]);
    assertEquals(done(outcomes[1]?.[0]).fresh, []);
    assertEquals(order, [0, 1]);
    assertEquals(proxy.kept, { ...before, transaction: before.transaction + 2 });
    assertEquals(names(await store.heads(ledger)), named("b", "d"));
    assertEquals(names(await other.log(ledger, 0, 10)), named("a", "b", "c", "d"));
  });

  it("rely on memory ever more rarely while another server writes, and again when it rests", async () => {
    await using test = await setUp();
    const { store, proxy, database } = test;
    await using other = await openPostgres({ url: database.url });
    const before = { ...proxy.sent };
    for (let at = 0; at < 30; at++) {
      await commitOne(other, putOf(`other ${at}`));
      await commitOne(store, putOf(`own ${at}`));
    }
    // Mistaken at the first, and after none, one, three, seven and fifteen batches that asked.
    assertEquals(proxy.sent.statement - before.statement, 5);
    assertEquals(proxy.sent.transaction - before.transaction, 30);
    for (let at = 0; at < 20; at++) await commitOne(store, putOf(`alone ${at}`));
    assert(proxy.sent.statement - before.statement > 5);
    // Right since then: once mistaken again, it asks once.
    await commitOne(other, putOf("other"));
    const trusted = { ...proxy.sent };
    for (const it of ["x", "y"]) await commitOne(store, putOf(it));
    assertEquals(proxy.sent.statement - trusted.statement, 2);
    assertEquals(proxy.sent.transaction - trusted.transaction, 1);
    assertEquals(names(await store.log(ledger, 0, 100)).length, 84);
  });

  it("are right when metas are deleted in between", async () => {
    await using test = await setUp();
    const { store } = test;
    const calls = [
      store.commit([putOf("b")]).then(([it]) => seqOf(it)),
      store.deleteMetas(ledger, [cidOf("a"), cidOf("b")]),
      store.commit([putOf("c", { supersedes: [cidOf("a")] })]).then(([it]) => seqOf(it)),
      store.commit([putOf("b")]).then(([it]) => seqOf(it)),
    ];
    assertEquals(await Promise.all(calls), [2, 3, 4, 2]);
    assertEquals(await store.bounds(ledger), { floor: 3, head: 4 });
    assertEquals(names(await store.heads(ledger)), named("c"));
  });

  it("are right when the first one's ledger is not to be made", async () => {
    await using test = await setUp();
    const { store } = test;
    const refused = putOf("n", { ledger: notes, blobs: [] });
    const { outcomes } = await commitAtOnce(store, [
      [refused, putOf("b")],
      [putOf("o", { ledger: notes, create: false }), putOf("c")],
      [putOf("p", { ledger: notes })],
    ]);
    const kinds = outcomes.map((batch) => batch.map((it) => it.kind));
    assertEquals(kinds, [["missing", "done"], ["unknown-ledger", "done"], ["done"]]);
    assertEquals(names(await store.log(ledger, 0, 10)), named("a", "b", "c"));
    assertEquals(names(await store.log(notes, 0, 10)), named("p"));
  });

  it("fail alone when a statement fails, and nothing of them is taken to be there", async () => {
    await using test = await setUp();
    const { store, proxy, database } = test;
    const impossible = commitOf({ blobs: [{ ...blobOf("x"), size: 2 ** 40 }] });
    await database.query("begin; select from hearth.ledger for update");
    const all = Promise.allSettled([
      store.commit([impossible, putOf("b", { keys: ["k"] })]),
      store.commit([putOf("c", { keys: ["k"], supersedes: [cidOf("b")] })]),
      store.commit([putOf("b")]),
    ]);
    await eventually(() => assertEquals(proxy.mostAtOnce, 2), { everyMs: 20 });
    await database.query("rollback");
    const [first, second, third] = await all;
    assert(first?.status === "rejected" && first.reason instanceof HearthError);
    assertEquals(first.reason.code, "INTERNAL");
    assert(second?.status === "fulfilled" && third?.status === "fulfilled");
    assertEquals(done(second.value[0]).seq, 2);
    assertEquals(done(second.value[0]).keys, ["k"]);
    assertEquals(done(third.value[0]).seq, 3);
    assertEquals(names(await store.log(ledger, 0, 10)), named("a", "c", "b"));
    assertEquals(names(await store.heads(ledger)), named("a", "c", "b"));
  });

  it("leave nothing behind in memory when they fail", async () => {
    await using test = await setUp();
    const { store, proxy } = test;
    const impossible = commitOf({ blobs: [{ ...blobOf("x"), size: 2 ** 40 }] });
    await assertRejects(() => store.commit([impossible, putOf("b", { keys: ["k"] })]));
    // Asks, and so comes to know how the ledger is without having been mistaken.
    await commitOne(store, commitOf({ metas: [metaOf("c", [refOf("a")])] }));
    const before = { ...proxy.kept };
    const outcome = done(await commitOne(store, putOf("d", { keys: ["k"] })));
    assertEquals([outcome.seq, outcome.keys], [3, ["k"]]);
    assertEquals(proxy.kept, { ...before, statement: before.statement + 1 });
    assertEquals((await store.heads(ledger)).keys, ["k"]);
    assertEquals(done(await commitOne(store, putOf("b"))).seq, 4);
  });

  // A statement that nobody holds up is to end in time on a busy machine too.
  for (const limits of [{ lockTimeoutMs: 100 }, { statementTimeoutMs: 1_500 }]) {
    it(`fail alone when the first one waits for too long (${Object.keys(limits)})`, async () => {
      await using test = await setUp(limits);
      const { store, database, proxy } = test;
      await store.commit([putOf("a", { ledger: notes })]);
      await database.query("begin; select from hearth.ledger where ledger = 'todos' for update");
      const [first, second] = await Promise.allSettled([
        store.commit([putOf("b", { ledger: notes }), putOf("b")]),
        store.commit([putOf("c", { ledger: notes })]),
      ]);
      await database.query("rollback");
      assert(first?.status === "rejected" && first.reason instanceof HearthError);
      assertEquals(first.reason.code, "UNAVAILABLE");
      assert((first.reason.details?.retryAfterMs ?? 0) > 0);
      assert(second?.status === "fulfilled");
      assertEquals(seqOf(second.value[0]), 2);
      assertEquals(proxy.mostAtOnce, 2);
      assertEquals(seqOf(await commitOne(store, putOf("b"))), 2);
      assertEquals(names(await store.log(notes, 0, 10)), named("a", "c"));
    });
  }

  it("are kept when the end comes, and refused after it", async () => {
    await using test = await setUp();
    const { store, database } = test;
    const both = [store.commit([putOf("b")]), store.commit([commitOf({ metas: [metaOf("a")] })])];
    const ended = store[Symbol.asyncDispose]();
    const error = await assertRejects(() => store.commit([putOf("d")]));
    assert(error instanceof HearthError && error.code === "UNAVAILABLE", String(error));
    await ended;
    assertEquals((await Promise.all(both)).map(([it]) => seqOf(it)), [2, 1]);
    await using again = await openPostgres({ url: database.url });
    assertEquals(names(await again.log(ledger, 0, 10)), named("a", "b"));
  });
});

describe("batches at once whose connection ends", () => {
  for (const cut of ["before-commit", "after-commit"] as const) {
    for (const skip of [0, 1]) {
      it(`keep their order, whoever is repeated first (${cut}, ${skip} before it)`, async () => {
        // The first waits longer than the second before it is repeated.
        const waits = [0.999, 0];
        await using test = await setUp({ random: () => waits.shift() ?? 0 });
        const { store, proxy } = test;
        const before = { ...proxy.kept };
        proxy.cutNext(cut, skip);
        const puts = [putOf("b", { keys: ["k"] }), putOf("c", { supersedes: [cidOf("b")] })];
        const { outcomes, order } = await commitAtOnce(store, puts.map((it) => [it]));
        assertEquals(proxy.cuts, 1);
        for (const [at, { metas, keys, blobs }] of puts.entries()) {
          const told = { kind: "done" as const, seq: at + 2, fresh: metas, keys, blobs };
          assertEquals(outcomes[at]?.map(toldOf), [told]);
        }
        assertEquals(order, [0, 1]);
        assertEquals(names(await store.heads(ledger)), named("a", "c"));
        assertEquals(names(await store.log(ledger, 0, 10)), named("a", "b", "c"));
        // What the server never got came a second time; whether it got the second one when its answer
        // to the first was lost, nobody knows.
        const repeated = cut === "before-commit" ? 2 - skip : 0;
        if (cut === "after-commit" && skip === 0) return;
        assertEquals(proxy.kept, {
          statement: before.statement + 2 - repeated,
          transaction: before.transaction + repeated,
        });
      });
    }
  }

  it("are kept once and in order when the server ends it while the first one waits", async () => {
    const waits = [0.999, 0];
    await using test = await setUp({ random: () => waits.shift() ?? 0 });
    const { store, database } = test;
    await database.query("begin; select from hearth.ledger for update");
    const both = commitAtOnce(store, [[putOf("b")], [putOf("c")]]);
    await eventually(async () => assertEquals(await endWaiting(database), 1), { everyMs: 20 });
    await database.query("rollback");
    const { outcomes, order } = await both;
    assertEquals(outcomes.map((batch) => batch.map(seqOf)), [[2], [3]]);
    assertEquals(order, [0, 1]);
    assertEquals(names(await store.log(ledger, 0, 10)), named("a", "b", "c"));
  });
});

describe("a ledger that another server makes", () => {
  it("harms no commit that asked for it at that very moment", async () => {
    await using test = await setUp();
    const { store, database } = test;
    await using other = await openPostgres({ url: database.url });
    await using holder = await openSession({ url: database.url });
    await database.query("begin; select from hearth.ledger for update");
    const unknown = putOf("z", { ledger: "acme/z", create: false });
    const both = store.commit([commitOf({ metas: [metaOf("b", [refOf("a")])] }), unknown]);
    await eventually(async () => assertEquals(await waiting(database), 1), { everyMs: 20 });
    // It is made behind the locks that the batch takes, and changes behind what the batch reads.
    await commitOne(other, putOf("y", { ledger: "acme/z" }));
    await holder.run("begin; lock table hearth.blob");
    await database.query("rollback");
    await eventually(async () => assertEquals(await waiting(database), 1), { everyMs: 20 });
    await holder.run("update hearth.ledger set stamp = stamp + 1 where ledger = 'z'; commit");
    assertEquals((await both).map(seqOf), [2, 2]);
    assertEquals(names(await store.log("acme/z", 0, 10)), named("y", "z"));
  });
});

/** A store behind a proxy that remembers a ledger with one commit, "a". */
async function setUp(options: Omit<PostgresOptions, "url"> = {}) {
  const database = await databases.take();
  const proxy = await startPostgresProxy();
  const store = await openPostgres({ ...options, url: proxy.through(database.url) });
  await commitOne(store, putOf("a"));
  await remember(store, [ledger]);
  return {
    store,
    proxy,
    database,
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

/** Makes the connection know the statement, and memory the ledgers, without changing what they hold. */
async function remember(store: MetaStore, ledgers: readonly string[]): Promise<void> {
  for (let time = 0; time < 2; time++) {
    await store.commit(ledgers.map((it) => commitOf({ ledger: it })));
  }
}

/** Calls `commit` for all batches in one turn. */
async function commitAtOnce(store: MetaStore, batches: readonly (readonly Commit[])[]) {
  const order: number[] = [];
  const outcomes = await Promise.all(batches.map(async (batch, at) => {
    const ended = await store.commit(batch);
    order.push(at);
    return ended;
  }));
  return { outcomes, order };
}

/** How many connections to this database wait for a lock. */
async function waiting({ query, name }: TestDatabase): Promise<number> {
  const rows = await query(
    "select from pg_stat_activity where datname = $1 and wait_event_type = 'Lock'",
    [name],
  );
  return rows.length;
}

/** Ends those that wait for a lock in this database. @returns how many */
async function endWaiting({ query, name }: TestDatabase): Promise<number> {
  const rows = await query(
    "select pg_terminate_backend(pid) from pg_stat_activity " +
      "where datname = $1 and wait_event_type = 'Lock'",
    [name],
  );
  return rows.length;
}
