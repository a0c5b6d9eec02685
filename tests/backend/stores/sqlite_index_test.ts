/** The SQLite store's indexes lag behind its rows: nobody sees it, whatever ends the process. */

import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { assert, assertEquals, assertRejects } from "#assert";
import type { MetaStore } from "../../../src/backend/stores/meta_store.ts";
import { sqliteMigrations } from "../../../src/backend/stores/migrations/sqlite.ts";
import { openSqlite } from "../../../src/backend/stores/sqlite.ts";
import { SqliteIndex } from "../../../src/backend/stores/sqlite_index.ts";
import { prepareStatements, sql } from "../../../src/backend/stores/sqlite_sql.ts";
import { blobOf, cidOf, commitOf, ledger, putOf, refOf } from "../../conformance/fixtures.ts";
import { metaStoreSuite } from "../../conformance/meta_store.ts";
import { startChild } from "../../harness/child.ts";
import { thisRuntime } from "../../harness/runtimes.ts";
import { makeTempFolder } from "../../harness/temp_folder.ts";
import { type Random, seededRandom, testSeed } from "../../random.ts";

const folder = await makeTempFolder();
after(() => folder[Symbol.asyncDispose]());
let count = 0;
const newPath = () => join(folder.path, `${count++}.db`);
/** Nearly always amid folding. */
const often = { foldAtRows: 6, foldSteps: 1 };
const random = seededRandom(testSeed());

metaStoreSuite("sqlite that folds all the time", () => openSqlite({ path: newPath(), ...often }));
metaStoreSuite("sqlite that is opened again and again", () => openAgain(newPath(), random));

describe("rows that no index of SQLite knows", () => {
  it("are all found, once each, after a kill amid folding", { timeout: 120_000 }, async () => {
    const path = newPath();
    const script = join(import.meta.dirname ?? "", "sqlite_child.ts");
    let acknowledged = 0;
    for (let round = 0; round < 8; round++) {
      const goal = acknowledged + 40 + random.below(120);
      const enough = Promise.withResolvers<void>();
      const child = startChild(thisRuntime.command, [
        ...[...thisRuntime.runs(), script, path, "1e9", "fold"],
      ], {
        onLine: (line) => {
          if (line.startsWith("ack ")) acknowledged = Number(line.slice(4));
          if (acknowledged >= goal) enough.resolve();
        },
      });
      await Promise.race([enough.promise, child.ended]);
      await child.end("SIGKILL");
      assert(acknowledged >= goal, child.lines.join("\n"));
      await checkChain(path, acknowledged);
      checkIndexes(path);
    }
  });

  it("are those before the transaction, when it fails amid folding", async () => {
    const path = newPath();
    const impossible = commitOf({ blobs: [{ ...blobOf("impossible"), size: 0.5 }] });
    const kept: string[] = [];
    {
      await using store = await openSqlite({ path, ...often });
      for (let at = 0; at < 120; at++) {
        const retires = kept.slice(-2, -1).map((name) => refOf(name));
        const put = putOf(`put ${at}`, { retires });
        if (random.below(3) === 0) {
          await assertRejects(() => store.commit([put, impossible]));
          assertEquals(await store.findBlobs(ledger, [refOf(`put ${at}`)]), []);
        } else {
          await store.commit([put]);
          kept.push(`put ${at}`);
        }
      }
    }
    await using store = await openSqlite({ path, ...often });
    const { metas } = await store.log(ledger, 0, 1e6);
    assertEquals(metas.map(({ cid }) => cid), kept.map(cidOf));
    const listed = await store.listBlobs(ledger, "car", 1e6);
    assertEquals(listed?.map(({ cid }) => cid), kept.map(cidOf).reverse());
    const inUse = await store.inventory(ledger, 1e6);
    assertEquals(inUse.map(({ cid }) => cid), kept.slice(-2).map(cidOf).reverse());
    await store[Symbol.asyncDispose]();
    checkIndexes(path);
  });

  it("stay few, whatever comes at once, and in how many ledgers", () => {
    const database = new DatabaseSync(":memory:");
    for (const migration of sqliteMigrations) database.exec(migration);
    const foldAtRows = 200;
    const most = 50;
    const index = new SqliteIndex(prepareStatements(database, sql), { foldAtRows, foldSteps: 1 });
    let folds = 0;
    for (let seq = 1; seq <= 2000;) {
      const before = index.tailSize;
      for (let left = 1 + random.below(most); left > 0; left--, seq++) {
        if (random.below(2) === 0) index.addMeta(seq, 1, cidOf(`${seq}`));
        else index.addBlob(seq, refOf(`${seq}`), 1);
      }
      index.fold();
      index.committed();
      if (index.tailSize < before) folds++;
      assert(index.tailSize <= 1.75 * foldAtRows + 2 * most, `${index.tailSize} rows`);
    }
    database.close();
    assert(folds > 4, `folded ${folds} times`);
  });
});

/** What the child has put, each superseding the one before and retiring the blob before that. */
async function checkChain(path: string, acknowledged: number): Promise<void> {
  await using store = await openSqlite({ path, foldAtRows: 60, foldSteps: 1 });
  const head = (await store.bounds(ledger))?.head ?? 0;
  assert(head >= acknowledged, `${acknowledged} acknowledged, ${head} kept`);
  const names = Array.from({ length: head }, (_, at) => `put ${at + 1}`);
  const cids = names.map(cidOf);
  const newest = [...cids].reverse();
  const { metas } = await store.log(ledger, 0, 1e6);
  assertEquals(metas.map(({ cid }) => cid), cids);
  assertEquals((await store.heads(ledger)).metas.map(({ cid }) => cid), cids.slice(-1));
  const blobs = await store.findBlobs(ledger, names.map((name) => refOf(name)));
  assertEquals(blobs, names.map((name) => blobOf(name)));
  const listed = await store.listBlobs(ledger, "car", 1e6);
  assertEquals(listed?.map(({ cid }) => cid), newest);
  const inUse = await store.inventory(ledger, 1e6);
  assertEquals(inUse.map(({ cid }) => cid), newest.slice(0, 2));
  const repeated = await store.commit(names.map((name) => putOf(name)));
  const isKnown = repeated.every((it) => it.kind === "done" && it.fresh.length === 0);
  assert(isKnown, "a repeat brings nothing new");
}

/** Up to the marks, each row stands in each index once; and nowhere is one that is not there. */
function checkIndexes(path: string): void {
  const database = new DatabaseSync(path);
  const numbers = (sql: string) => database.prepare(sql).all().map((row) => Object.values(row)[0]);
  for (const [index, table] of [["meta_seq", "meta"], ["meta_cid", "meta"], ["blob_cid", "blob"]]) {
    const upTo = `(select up_to from indexed where kind = '${table}')`;
    assertEquals(
      numbers(`select ${table} from ${index} where ${table} <= ${upTo} order by 1`),
      numbers(`select id from ${table} where id <= ${upTo} order by 1`),
      index,
    );
    assertEquals(numbers(`select ${table} from ${index} except select id from ${table}`), []);
  }
  const listed = numbers("select blob from listing");
  assertEquals(new Set(listed).size, listed.length, "nothing is listed twice");
  database.close();
}

/** A store that is closed and opened before every third call or so. */
async function openAgain(path: string, random: Random): Promise<MetaStore> {
  let store = await openSqlite({ path, ...often });
  let turn: Promise<unknown> = Promise.resolve();
  const call = async (name: keyof MetaStore, args: readonly unknown[]): Promise<unknown> => {
    if (random.below(3) === 0) {
      await store[Symbol.asyncDispose]();
      store = await openSqlite({ path, ...often });
    }
    // The compiler cannot follow a name that is known at run time alone.
    return (store[name] as (...args: unknown[]) => unknown).call(store, ...args);
  };
  // One call after the other, so that none finds the store closed.
  const callInTurn = (name: keyof MetaStore, args: readonly unknown[]): Promise<unknown> => {
    const result = turn.then(() => call(name, args));
    turn = result.catch(() => {});
    return result;
  };
  return new Proxy(store, {
    get(_, name) {
      if (name === Symbol.asyncDispose) return () => store[Symbol.asyncDispose]();
      // The suite asks for what the interface has, and nothing else.
      const known = name as keyof MetaStore;
      return typeof store[known] === "function"
        ? (...args: readonly unknown[]) => callInTurn(known, args)
        : store[known];
    },
  });
}
