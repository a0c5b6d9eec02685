/** Connections end in the middle of commits, and nothing is lost, doubled or told wrongly. */

import { after, describe, it } from "node:test";
import { assert, assertEquals, assertRejects } from "#assert";
import { openPostgres } from "../../../src/backend/stores/postgres.ts";
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
import { commitOne, done, named, names, toldOf } from "../../conformance/outcomes.ts";
import { eventually } from "../../harness/eventually.ts";
import { createFakeClock } from "../../harness/fake_clock.ts";
import { openTestDatabases, type TestDatabase } from "../../harness/postgres_server.ts";
import { startPostgresProxy } from "../../harness/postgres_proxy.ts";
import { seededRandom, testSeed } from "../../random.ts";

const databases = openTestDatabases();
after(() => databases[Symbol.asyncDispose]());

describe("a commit whose connection ends", () => {
  for (const cut of ["before-commit", "after-commit"] as const) {
    it(`is told as at the first attempt, and kept once (${cut})`, async () => {
      await using database = await databases.take();
      await using proxy = await startPostgresProxy();
      await using store = await openPostgres({ url: proxy.through(database.url) });
      await commitOne(store, putOf("a"));
      proxy.cutNext(cut);
      const put = putOf("b", { keys: ["k"], supersedes: [cidOf("a")] });
      const missing = commitOf({ metas: [metaOf("c", [refOf("absent")])] });
      const outcomes = await store.commit([
        put,
        missing,
        putOf("a"),
        putOf("n", { ledger: "a/n" }),
      ]);
      assertEquals(proxy.cuts, 1);
      assertEquals(outcomes.map(toldOf), [
        { kind: "done", seq: 2, fresh: put.metas, keys: ["k"], blobs: put.blobs },
        { kind: "missing", blobs: [refOf("absent")] },
        { kind: "done", seq: 1, fresh: [], keys: [], blobs: [] },
        {
          kind: "done",
          seq: 1,
          fresh: [metaOf("n", [refOf("n")])],
          keys: [],
          blobs: putOf("n").blobs,
        },
      ]);
      assertEquals(names(await store.log(ledger, 0, 10)), named("a", "b"));
      assertEquals(names(await store.heads(ledger)), named("b"));
      assertEquals(await store.bounds("a/n"), { floor: 0, head: 1 });
    });
  }

  it("tells no count of items when it is found to have been kept", async () => {
    await using database = await databases.take();
    await using proxy = await startPostgresProxy();
    await using store = await openPostgres({ url: proxy.through(database.url) });
    const counts: (number | undefined)[] = [];
    for (const [name, cut] of [["a"], ["b", "before-commit"], ["c", "after-commit"]] as const) {
      proxy.cutNext(cut);
      counts.push(...(await store.commit([putOf(name)])).map((it) => done(it).items));
    }
    proxy.cutNext("after-commit");
    counts.push(...(await store.commit([commitOf({ keys: ["k"] })])).map((it) => done(it).items));
    assertEquals(proxy.cuts, 3);
    // Whoever else brought the same may have brought other things before it.
    assertEquals(counts, [1, 2, undefined, undefined]);
  });

  for (const [cut, repeats] of [["before-commit", 1], ["after-commit", 0]] as const) {
    it(`is kept once when it was one statement (${cut})`, async () => {
      await using database = await databases.take();
      await using proxy = await startPostgresProxy();
      await using store = await openPostgres({ url: proxy.through(database.url) });
      await commitOne(store, putOf("a"));
      const before = { ...proxy.kept };
      proxy.cutNext(cut);
      const put = putOf("b", { keys: ["k"], supersedes: [cidOf("a")] });
      assertEquals(await commitOne(store, put), {
        kind: "done",
        seq: 2,
        fresh: put.metas,
        keys: ["k"],
        blobs: put.blobs,
      });
      assertEquals(proxy.cuts, 1);
      // Either the server never got the statement, or it has kept what it says, and nothing more.
      const kept = { statement: 1 - repeats, transaction: repeats };
      assertEquals(proxy.kept, {
        statement: before.statement + kept.statement,
        transaction: before.transaction + kept.transaction,
      });
      assertEquals(names(await store.log(ledger, 0, 10)), named("a", "b"));
      assertEquals(names(await store.heads(ledger)), named("b"));
    });
  }

  for (const cut of ["before-commit", "after-commit"] as const) {
    it(`is kept also when no meta of it tells so (${cut})`, async () => {
      await using database = await databases.take();
      await using proxy = await startPostgresProxy();
      await using store = await openPostgres({ url: proxy.through(database.url) });
      await store.commit([putOf("a"), putOf("b")]);
      const all = [
        commitOf({ retires: [refOf("a")] }),
        // A repeat that knows of more to supersede.
        putOf("b", { supersedes: [cidOf("a")] }),
        commitOf({ keys: ["k"] }),
        commitOf({ blobs: [blobOf("c")] }),
      ];
      const outcomes = [];
      for (const commit of all) {
        proxy.cutNext(cut);
        outcomes.push(await commitOne(store, commit));
      }
      assertEquals(proxy.cuts, all.length);
      assertEquals(
        outcomes,
        all.map(({ keys, blobs }, at) => ({
          kind: "done" as const,
          seq: 2,
          fresh: [],
          keys,
          blobs: at === 1 ? [] : blobs,
        })),
      );
      const listed = (await store.inventory(ledger, 10)).map(({ cid }) => cid);
      assertEquals(listed, named("c", "b"));
      assertEquals(names(await store.heads(ledger)), named("b"));
      assertEquals((await store.heads(ledger)).keys, ["k"]);
    });
  }

  it("is told as it is kept when it was refused at first", async () => {
    const clock = createFakeClock();
    await using database = await databases.take();
    await using proxy = await startPostgresProxy();
    await using store = await openPostgres({ url: proxy.through(database.url), clock });
    await using other = await openPostgres({ url: database.url });
    await commitOne(store, putOf("a"));
    proxy.cutNext("before-commit");
    const metas = [metaOf("c", [refOf("b")])];
    const outcome = commitOne(store, commitOf({ metas }));
    await eventually(() => assertEquals(proxy.cuts, 1), { everyMs: 20 });
    await commitOne(other, putOf("b"));
    let isTold = false;
    void outcome.finally(() => (isTold = true));
    await eventually(() => {
      clock.advance(50);
      assert(isTold);
    }, { everyMs: 20 });
    assertEquals(await outcome, { kind: "done", seq: 3, fresh: metas, keys: [], blobs: [] });
    assertEquals(names(await store.log(ledger, 0, 10)), named("a", "b", "c"));
  });

  it("is told as at the first attempt when another server's commits came between", async () => {
    await using database = await databases.take();
    await using proxy = await startPostgresProxy();
    await using store = await openPostgres({ url: proxy.through(database.url) });
    await using other = await openPostgres({ url: database.url });
    await commitOne(store, putOf("a"));
    proxy.cutNext("after-commit");
    const commits = [putOf("b"), putOf("c")];
    const [outcomes] = await Promise.all([store.commit(commits), commitOne(other, putOf("d"))]);
    assertEquals(outcomes.map((it) => done(it).fresh), commits.map((it) => it.metas));
    const log = names(await other.log(ledger, 0, 10));
    for (const outcome of outcomes) {
      const { seq, fresh: [meta] } = done(outcome);
      assertEquals(log[seq - 1], meta?.cid);
    }
    assertEquals(log.toSorted(), named("a", "b", "c", "d").toSorted());
  });

  it("comes out the same at whatever byte the connection is cut", async () => {
    const random = seededRandom(testSeed());
    await using database = await databases.take();
    await using proxy = await startPostgresProxy();
    await using store = await openPostgres({ url: proxy.through(database.url), maxConnections: 2 });
    const count = 40;
    for (let at = 1; at <= count; at++) {
      proxy.cutNext(random.below(2500));
      const put = putOf(`put ${at}`, { keys: [`key ${at}`], supersedes: [cidOf(`put ${at - 1}`)] });
      const outcome = await commitOne(store, put);
      const { metas, blobs, keys } = put;
      assertEquals(outcome, { kind: "done", seq: at, fresh: metas, keys, blobs });
    }
    proxy.cutNext(undefined);
    // Both ways were really cut, and really went through.
    assert(proxy.cuts > 0 && proxy.kept.statement > 0 && proxy.kept.transaction > 0);
    const all = Array.from({ length: count }, (_, at) => cidOf(`put ${at + 1}`));
    assertEquals(names(await store.log(ledger, 0, 1000)), all);
    assertEquals(names(await store.heads(ledger)), all.slice(-1));
    assertEquals((await store.heads(ledger)).keys.length, count);
    const listed = (await store.inventory(ledger, 1000)).map(({ cid }) => cid);
    assertEquals(listed, all.toReversed());
  });

  it("is repeated when the server ends it while it waits", async () => {
    await using database = await databases.take();
    await using store = await openPostgres({ url: database.url });
    await commitOne(store, putOf("a"));
    await database.query("begin; select from hearth.ledger for update");
    const outcome = commitOne(store, putOf("b"));
    await eventually(async () => assertEquals(await endWaiting(database), 1), { everyMs: 20 });
    await database.query("rollback");
    assertEquals(done(await outcome).seq, 2);
    assertEquals(names(await store.log(ledger, 0, 10)), named("a", "b"));
  });

  it("is refused in time while the row is held by somebody else, and harms nobody", async () => {
    await using database = await databases.take();
    await using store = await openPostgres({ url: database.url, lockTimeoutMs: 50 });
    await store.commit([putOf("a"), putOf("a", { ledger: "acme/notes" })]);
    await database.query("begin; select from hearth.ledger where ledger = 'todos' for update");
    const error = await assertRejects(() => commitOne(store, putOf("b")));
    assert(error instanceof HearthError && error.code === "UNAVAILABLE", String(error));
    assert((error.details?.retryAfterMs ?? 0) > 0);
    assertEquals(done(await commitOne(store, putOf("b", { ledger: "acme/notes" }))).seq, 2);
    await database.query("rollback");
    assertEquals(done(await commitOne(store, putOf("b"))).seq, 2);
  });
});

describe("other calls whose connection ends", () => {
  it("read, delete and change records as if nothing had happened", async () => {
    const random = seededRandom(testSeed());
    await using database = await databases.take();
    await using proxy = await startPostgresProxy();
    await using store = await openPostgres({ url: proxy.through(database.url), maxConnections: 2 });
    const key = { ledger, owner: "alice", name: "wal" };
    await commitOne(store, putOf("a"));
    for (let version = 0; version < 20; version++) {
      proxy.cutNext(random.below(1500));
      const written = await store.putWal(key, version, Uint8Array.of(version));
      assertEquals(written, { done: true, version: version + 1 });
      assertEquals((await store.getWal(key)).version, version + 1);
      assertEquals(names(await store.log(ledger, 0, 10)), named("a"));
    }
    proxy.cutNext("after-commit");
    assertEquals(await store.deleteMetas(ledger, [cidOf("a")]), 2);
    assertEquals(await store.bounds(ledger), { floor: 2, head: 2 });
    assert(proxy.cuts > 1);
  });
});

/** Ends what waits for a lock in this database. @returns how many */
async function endWaiting({ query, name }: TestDatabase): Promise<number> {
  const rows = await query(
    "select pg_terminate_backend(pid) from pg_stat_activity " +
      "where datname = $1 and wait_event_type = 'Lock'",
    [name],
  );
  return rows.length;
}
