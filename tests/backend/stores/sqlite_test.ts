/** SQLite passes the suite of its interface; and what only a database on a disk can show. */

import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "#assert";
import { sqliteMigrations } from "../../../src/backend/stores/migrations/sqlite.ts";
import { openSqlite } from "../../../src/backend/stores/sqlite.ts";
import { registrySql } from "../../../src/backend/stores/sqlite_registry.ts";
import { sql } from "../../../src/backend/stores/sqlite_sql.ts";
import { HearthError } from "../../../src/protocol/errors.ts";
import {
  blobOf,
  cidOf,
  commitOf,
  keyOf,
  ledger,
  metaOf,
  putOf,
  refOf,
} from "../../conformance/fixtures.ts";
import { metaStoreSuite } from "../../conformance/meta_store.ts";
import { startChild } from "../../harness/child.ts";
import { findRuntime, runtimeNames, thisRuntime } from "../../harness/runtimes.ts";
import { makeTempFolder } from "../../harness/temp_folder.ts";

const folder = await makeTempFolder();
after(() => folder[Symbol.asyncDispose]());
let count = 0;
const newPath = () => join(folder.path, `new folder ${count++}`, "hearth.db");

metaStoreSuite("sqlite", () => openSqlite({ path: newPath() }));

describe("openSqlite()", () => {
  it("finds everything again, under the same epoch", async () => {
    const path = newPath();
    const commits = [putOf("a", { keys: ["k"] }), putOf("b", { supersedes: [cidOf("a")] })];
    const key = { ledger, owner: "alice", name: "wal" };
    const snapshot = async () => {
      await using store = await openSqlite({ path });
      return {
        epoch: store.epoch,
        repeated: await store.commit(commits),
        bounds: await store.bounds(ledger),
        log: await store.log(ledger, 0, 10),
        heads: await store.heads(ledger),
        blobs: await store.findBlobs(ledger, [refOf("a"), refOf("b")]),
        inventory: await store.inventory(ledger, 10),
        wal: await store.getWal(key),
      };
    };
    {
      await using store = await openSqlite({ path });
      await store.commit(commits);
      await store.deleteMetas(ledger, [cidOf("b")]);
      await store.putWal(key, 0, Uint8Array.of(1, 2));
    }
    const found = await snapshot();
    assertEquals(found.bounds, { floor: 3, head: 3 });
    assertEquals(found.blobs, [blobOf("a"), blobOf("b")]);
    assertEquals(found.wal.bytes, Uint8Array.of(1, 2));
    assertEquals(await snapshot(), found);
  });

  it("refuses a file that this process has open already", async () => {
    const path = newPath();
    await using store = await openSqlite({ path });
    const error = await assertRejects(() => openSqlite({ path, busyTimeoutMs: 10 }));
    assertEquals(error instanceof HearthError && error.code, "UNAVAILABLE");
    assertStringIncludes(error.message, path);
    assertStringIncludes(error.message, "another server holds it");
    await store.commit([putOf("a")]);
  });

  for (const name of runtimeNames) {
    const runtime = findRuntime(name);
    const skip = runtime ? false : `${name} is not installed here`;
    it(`refuses a file that a process on ${name} holds`, { skip }, async () => {
      const path = newPath();
      const { command, runs } = runtime ?? thisRuntime;
      const script = join(import.meta.dirname ?? "", "sqlite_child.ts");
      const held = Promise.withResolvers<void>();
      const child = startChild(command, [...runs(), script, path, "1", "hold"], {
        onLine: (line) => line === "ack 1" && held.resolve(),
      });
      try {
        await Promise.race([held.promise, child.ended]);
        assert(child.lines.includes("ack 1"), child.lines.join("\n"));
        const error = await assertRejects(() => openSqlite({ path, busyTimeoutMs: 10 }));
        assertEquals(error instanceof HearthError && error.code, "UNAVAILABLE");
      } finally {
        await child.end("SIGKILL");
      }
      await using store = await openSqlite({ path });
      assertEquals(await store.bounds(ledger), { floor: 0, head: 1 });
    });
  }

  it("refuses a file of a newer release", async () => {
    const path = newPath();
    await openSqlite({ path }).then((store) => store[Symbol.asyncDispose]());
    const database = new DatabaseSync(path);
    database.exec(`pragma user_version = ${sqliteMigrations.length + 1}`);
    database.close();
    const error = await assertRejects(() => openSqlite({ path }));
    assertStringIncludes(error.message, `version ${sqliteMigrations.length + 1}`);
  });

  it("refuses whole batches when there is no room, and goes on with what it has", async () => {
    const path = newPath();
    await using store = await openSqlite({ path, maxBytes: 1 << 18 });
    await store.commit([putOf("small")]);
    const bytes = new Uint8Array(60_000);
    const large = [1, 2, 3, 4, 5, 6].map((at) =>
      commitOf({ blobs: [{ ...keyOf(`large ${at}`, bytes), bytes }], metas: [metaOf(`m${at}`)] })
    );
    const error = await assertRejects(() => store.commit([putOf("first"), ...large]));
    assertEquals(error instanceof HearthError && error.code, "STORAGE_FULL");
    assertEquals(await store.bounds(ledger), { floor: 0, head: 1 });
    assertEquals(await store.findBlobs(ledger, [refOf("first"), refOf("large 1")]), []);
    const outcomes = await store.commit([putOf("next")]);
    assertEquals(outcomes[0]?.kind, "done");
    assertEquals(await store.bounds(ledger), { floor: 0, head: 2 });
  });

  it("keeps nothing of a batch in which a statement fails, and goes on", async () => {
    await using store = await openSqlite({ path: newPath() });
    const impossible = commitOf({ blobs: [{ ...blobOf("b"), size: 0.5 }] });
    const error = await assertRejects(() => store.commit([putOf("a"), impossible]));
    assert(!(error instanceof HearthError));
    assertEquals(await store.bounds(ledger), undefined);
    const [outcome] = await store.commit([putOf("c")]);
    assertEquals(outcome?.kind === "done" && outcome.seq, 1);
  });

  it("refuses calls after its end", async () => {
    const store = await openSqlite({ path: newPath() });
    await store[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
    for (const call of [() => store.commit([putOf("a")]), () => store.heads(ledger)]) {
      const error = await assertRejects(call);
      assertEquals(error instanceof HearthError && error.code, "UNAVAILABLE");
    }
  });

  it("keeps every acknowledged commit of a process that is killed", async () => {
    const path = newPath();
    const script = join(import.meta.dirname ?? "", "sqlite_child.ts");
    let acknowledged = 0;
    for (let round = 1; round <= 3; round++) {
      const goal = acknowledged + 100 * round;
      const enough = Promise.withResolvers<void>();
      const child = startChild(thisRuntime.command, [...thisRuntime.runs(), script, path, "1e9"], {
        onLine: (line) => {
          if (line.startsWith("ack ")) acknowledged = Number(line.slice(4));
          if (acknowledged >= goal) enough.resolve();
        },
      });
      await Promise.race([enough.promise, child.ended]);
      await child.end("SIGKILL");
      assert(acknowledged >= goal, child.lines.join("\n"));
      await using store = await openSqlite({ path });
      const head = (await store.bounds(ledger))?.head ?? 0;
      assert(head >= acknowledged, `${acknowledged} acknowledged, ${head} kept`);
      const { metas } = await store.log(ledger, 0, 1e6);
      const expected = Array.from({ length: head }, (_, at) => cidOf(`put ${at + 1}`));
      assertEquals(metas.map(({ cid }) => cid), expected);
      const blobs = await store.findBlobs(ledger, metas.flatMap((meta) => meta.blobs));
      assertEquals(blobs.length, head);
    }
  });
});

describe("the statements of the SQLite store", () => {
  const database = new DatabaseSync(":memory:");
  after(() => database.close());
  for (const migration of sqliteMigrations) database.exec(migration);
  const statements = Object.entries({ ...sql, ...registrySql }).filter(([, text]) =>
    /^\s*(select|update|delete)\b/.test(text)
  );

  for (const [name, text] of statements) {
    it(`search by an index and sort nothing: ${name}`, () => {
      const plan = database.prepare(`explain query plan ${text}`).all();
      const steps = plan.map((row) => String(row["detail"]));
      assert(steps.some((step) => step.startsWith("SEARCH")), steps.join("; "));
      for (const step of steps) assert(!/^SCAN|TEMP B-TREE/.test(step), steps.join("; "));
    });
  }
});
