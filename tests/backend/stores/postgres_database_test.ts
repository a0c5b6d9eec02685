/** What the Postgres store asks of its database, and what it says when that is not so. */

import { after, describe, it } from "node:test";
import { assert, assertEquals, assertMatch, assertNotEquals, assertRejects } from "#assert";
import { parseCursor } from "../../../src/protocol/cursor.ts";
import { openPostgres } from "../../../src/backend/stores/postgres.ts";
import { checkDurability } from "../../../src/backend/stores/postgres_database.ts";
import { toStoreError } from "../../../src/backend/stores/postgres_errors.ts";
import { HearthError } from "../../../src/protocol/errors.ts";
import { blobOf, commitOf, ledger, putOf } from "../../conformance/fixtures.ts";
import { commitOne, done } from "../../conformance/outcomes.ts";
import { freePort } from "../../harness/ports.ts";
import { openTestDatabases } from "../../harness/postgres_server.ts";

const databases = openTestDatabases();
after(() => databases[Symbol.asyncDispose]());

async function refusal(call: () => Promise<unknown>): Promise<HearthError> {
  const error = await assertRejects(call);
  assert(error instanceof HearthError, String(error));
  return error;
}

describe("openPostgres()", () => {
  it("finds everything again, under the same epoch", async () => {
    await using database = await databases.take();
    const epochs: string[] = [];
    for (let seq = 1; seq <= 2; seq++) {
      await using store = await openPostgres({ url: database.url });
      assertEquals(done(await commitOne(store, putOf(`put ${seq}`))).seq, seq);
      epochs.push(store.epoch);
    }
    assertEquals(epochs[0], epochs[1]);
    assert(parseCursor(`${epochs[0]}.1`));
  });

  it("refuses a schema of a newer release", async () => {
    await using database = await databases.take();
    await (await openPostgres({ url: database.url }))[Symbol.asyncDispose]();
    await database.query("update hearth.schema_version set version = 1000");
    const error = await refusal(() => openPostgres({ url: database.url }));
    assertEquals(error.code, "UNAVAILABLE");
    assertMatch(error.message, /version 1000/);
  });

  it("leaves no half schema behind when a migration fails", async () => {
    await using database = await databases.take();
    await database.query("create schema hearth; create table hearth.wal (taken int)");
    assertEquals((await refusal(() => openPostgres({ url: database.url }))).code, "INTERNAL");
    const tables = await database.query(
      "select relname from pg_class where relnamespace = 'hearth'::regnamespace and relkind = 'r' " +
        "order by relname",
    );
    assertEquals(tables.map((it) => it["relname"]), ["schema_version", "wal"]);
    await database.query("drop table hearth.wal");
    await (await openPostgres({ url: database.url }))[Symbol.asyncDispose]();
  });

  it("stops when the database has another history than it started with", async () => {
    await using database = await databases.take();
    await using store = await openPostgres({ url: database.url });
    await commitOne(store, putOf("a"));
    await database.query("update hearth.history set epoch = 'restored'");
    await database.query(
      "select pg_terminate_backend(pid) from pg_stat_activity " +
        "where datname = $1 and application_name = 'hearth'",
      [database.name],
    );
    const error = await refusal(() => store.heads(ledger));
    assertEquals(error.code, "UNAVAILABLE");
    assertMatch(error.message, /restart/);
    await using restarted = await openPostgres({ url: database.url });
    assertNotEquals(restarted.epoch, store.epoch);
  });

  it("pins what an acknowledgement rests on, whatever the database sets", async () => {
    await using database = await databases.take();
    await database.query(`alter database ${database.name} set synchronous_commit = off`);
    await using store = await openPostgres({ url: database.url });
    await commitOne(store, putOf("a"));
    const settings = { fsync: "on", full_page_writes: "on", synchronous_commit: "on" };
    checkDurability(settings);
    for (const name of Object.keys(settings)) {
      const error = await refusal(() =>
        Promise.try(() => checkDurability({ ...settings, [name]: "off" }))
      );
      assertEquals(error.code, "UNAVAILABLE");
      assertMatch(error.message, new RegExp(`${name} = on`));
    }
    await database.query(`alter database ${database.name} reset synchronous_commit`);
  });

  it("keeps bytes apart and uncompressed, in every part", async () => {
    await using database = await databases.take();
    await using _store = await openPostgres({ url: database.url, partitions: 3 });
    const rows = await database.query(
      "select attstorage::text from pg_attribute join pg_class on pg_class.oid = attrelid " +
        "where relname ~ '^blob(_\\d)?$' and attname = 'bytes'",
    );
    assertEquals(rows.map((it) => it["attstorage"]), ["e", "e", "e", "e"]);
  });

  it("refuses when nobody listens, and asks to come back", async () => {
    const url = `postgres://postgres@127.0.0.1:${await freePort()}/postgres`;
    const error = await refusal(() => openPostgres({ url }));
    assertEquals(error.code, "UNAVAILABLE");
    assert((error.details?.retryAfterMs ?? 0) > 0);
  });

  it("refuses options that cannot be", async () => {
    for (const wrong of [{ maxConnections: 1 }, { partitions: -1 }, { partitions: 257 }]) {
      const error = await assertRejects(() => openPostgres({ url: "postgres://x", ...wrong }));
      assert(error instanceof RangeError);
    }
  });
});

describe("a Postgres store", () => {
  it("refuses reads when all connections are busy, and commits all the same", async () => {
    await using database = await databases.take();
    const options = { url: database.url, maxConnections: 2, maxWaitMs: 50 };
    await using store = await openPostgres(options);
    await commitOne(store, putOf("a"));
    await database.query("begin; lock table hearth.wal");
    const key = { ledger, owner: "alice", name: "wal" };
    const stuck = store.getWal(key);
    const error = await refusal(() => store.heads(ledger));
    assertEquals([error.code, error.details?.retryAfterMs], ["UNAVAILABLE", 1000]);
    assertEquals(done(await commitOne(store, putOf("b"))).seq, 2);
    await database.query("rollback");
    assertEquals(await stuck, { version: 0, bytes: null });
    assertEquals((await store.heads(ledger)).seq, 2);
  });

  it("keeps nothing of a batch in which a statement fails, and goes on", async () => {
    await using store = await databases.open();
    const impossible = commitOf({ blobs: [{ ...blobOf("b"), size: 0.5 }] });
    const error = await refusal(() => store.commit([putOf("a"), impossible]));
    assertEquals(error.code, "INTERNAL");
    assertEquals(await store.bounds(ledger), undefined);
    assertEquals(done(await commitOne(store, putOf("c"))).seq, 1);
  });

  it("refuses calls after its end", async () => {
    await using database = await databases.take();
    const store = await openPostgres({ url: database.url });
    await store[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
    for (const call of [() => store.commit([putOf("a")]), () => store.heads(ledger)]) {
      assertEquals((await refusal(call)).code, "UNAVAILABLE");
    }
  });
});

describe("errors of Postgres", () => {
  const codes = {
    "53100": "STORAGE_FULL",
    "57P01": "UNAVAILABLE",
    "53300": "UNAVAILABLE",
    "55P03": "UNAVAILABLE",
    "40P01": "UNAVAILABLE",
    "25006": "UNAVAILABLE",
    "28P01": "UNAVAILABLE",
    ECONNREFUSED: "UNAVAILABLE",
    "23505": "INTERNAL",
  };
  for (const [state, code] of Object.entries(codes)) {
    it(`${state} becomes ${code}`, () => {
      const cause = Object.assign(new Error("as the driver throws it"), { code: state });
      const error = toStoreError(cause, "commit");
      assertEquals([error.code, error.cause], [code, cause]);
    });
  }
});
