/** Whatever the length of a ledger, each statement of the Postgres store finds its rows by an index. */

import { after, describe, it } from "node:test";
import { assert, assertEquals } from "#assert";
import { openPostgres } from "../../../src/backend/stores/postgres.ts";
import { openPostgresRegistry } from "../../../src/backend/stores/postgres_registry.ts";
import { registrySql } from "../../../src/backend/stores/postgres_registry_sql.ts";
import { openSession } from "../../../src/backend/stores/postgres_session.ts";
import { sql } from "../../../src/backend/stores/postgres_sql.ts";
import { write } from "../../../src/backend/stores/postgres_write.ts";
import { commitOf, metaOf, putOf } from "../../conformance/fixtures.ts";
import { openTestDatabases, type TestDatabase } from "../../harness/postgres_server.ts";

const databases = openTestDatabases();
after(() => databases[Symbol.asyncDispose]());

const rows = 10_000;
/** What may be in the tables when a connection makes its plans: the SQL of ledger `n`'s name. */
const contents: Readonly<Record<string, string | undefined>> = {
  "in an empty database": undefined,
  "in one long ledger": "'long'",
  "in many short ledgers": "'short' || n / 2",
};

/** Those that read all heads, or lists of blobs: a filter would mean that the rest is read too. */
const whole = ["readHeads", "readInventory", "listBlobs"];
const searches = Object.entries({ ...sql, write }).filter(([, text]) =>
  /\b(from|using) (ledger|meta|head|key|blob|listing|wal|unnest)\b/.test(text) &&
  !/^\s*insert/.test(text)
);

const samples: Readonly<Record<string, string>> = {
  text: "'acme'",
  bigint: "1",
  bytea: "''",
  "text[]": "'{acme}'",
  "bigint[]": "'{1}'",
  "int[]": "'{1}'",
  "boolean[]": "'{true}'",
  "bytea[]": "'{a}'",
};

for (const partitions of [0, 2]) {
  describe(`the statements of the Postgres store, tables in ${partitions} parts`, () => {
    for (const [where, ledger] of Object.entries(contents)) {
      it(`search by an index, with the whole of a name, ${where}`, async () => {
        await using database = await databases.take();
        await using store = await openPostgres({ url: database.url, partitions });
        await store.commit([putOf("a", { keys: ["k"] }), commitOf({ metas: [metaOf("b")] })]);
        if (ledger) await fill(database, ledger);
        for (const [name, plan] of await plansOf(database, searches)) check(name, plan);
      });
    }
  });
}

/** Statements of the registry, and what they search by. */
const registrySearches: Readonly<Partial<Record<keyof typeof registrySql, RegExp>>> = {
  lockState: /\(id = 1\)/,
  readState: /\(id = 1\)/,
  setState: /\(id = 1\)/,
  findRecords: /\(tenant = .*kind = .*name = /,
  listRecords: /\(tenant = .*kind = .*name > /,
  readChanges: /\(id = 1\)[^]*\(version > /,
  deleteEnded: /\(ends_at <= /,
  findEntry: /\(number = /,
  readEntries: /\(number > /,
};

describe("the statements of the Postgres registry", () => {
  for (const isFull of [false, true]) {
    it(`search by an index and sort nothing, in ${isFull ? "full" : "empty"} tables`, async () => {
      await using database = await databases.take();
      await using _registry = await openPostgresRegistry({ url: database.url });
      if (isFull) await fillRegistry(database);
      const statements = Object.entries(registrySql)
        .filter(([name]) => Object.hasOwn(registrySearches, name));
      assertEquals(statements.length, Object.keys(registrySearches).length);
      for (const [name, plan] of await plansOf(database, statements)) {
        const search = new Map<string, RegExp>(Object.entries(registrySearches)).get(name);
        const about = `${name}\n${plan}`;
        assert(!/(Seq|Bitmap Heap) Scan on/.test(plan), about);
        assert(search?.test(plan), about);
        // `findRecords` sorts what was asked for, which is little.
        assert(name === "findRecords" || !/\bSort\b/.test(plan), about);
      }
    });
  }
});

async function fillRegistry({ query }: TestDatabase): Promise<void> {
  const numbers = `generate_series(1, ${rows}) n`;
  await query(`
    insert into hearth.record select 'acme', 'member', n, n, n, 'x' from ${numbers};
    insert into hearth.audit select n, n, 'a', 'a', 'a', '{}', 'x', 'x' from ${numbers};
    analyze`);
}

async function fill({ query }: TestDatabase, ledger: string): Promise<void> {
  const numbers = `generate_series(1, ${rows}) n`;
  await query(`
    insert into hearth.meta select tenant, ${ledger}, n, cid || n, parents, blobs, null, data
      from hearth.meta, ${numbers} where seq = 1;
    insert into hearth.head select tenant, ${ledger}, n from hearth.head, ${numbers} where seq = 1;
    insert into hearth.key select tenant, ${ledger}, n, n, sha256(n::text::bytea), value
      from hearth.key, ${numbers};
    insert into hearth.blob select tenant, ${ledger}, store, cid || n, n, digest, size, bytes
      from hearth.blob, ${numbers};
    insert into hearth.listing select tenant, ${ledger}, store, true, n, cid || n, size
      from hearth.listing, ${numbers};
    insert into hearth.ledger select distinct tenant, ${ledger}, 0, 0, 0, 0
      from hearth.ledger, ${numbers};
    insert into hearth.wal select 'acme', ${ledger}, n::text::bytea, 'wal', 1, '' from ${numbers};
    analyze`);
}

async function plansOf(
  { url }: TestDatabase,
  statements: readonly (readonly [name: string, text: string])[],
): Promise<readonly (readonly [string, string])[]> {
  await using session = await openSession({ url });
  const plans: (readonly [string, string])[] = [];
  for (const [name, text] of statements) {
    await session.run(`prepare ${name} as ${text}`);
    const types = new Map(
      [...text.matchAll(/\$(\d+)::(\w+(?:\[\])?)/g)].map((it) => [it[1], it[2]]),
    );
    // The plan itself is made without a look at the values.
    const values = Array.from(types, (_, at) => samples[types.get(String(at + 1)) ?? ""]).join(
      ", ",
    );
    const { lines } = await session.send({
      lines: { text: `explain (costs off) execute ${name}${values && ` (${values})`}`, values: [] },
    });
    plans.push([name, lines.map((row) => String(row["QUERY PLAN"])).join("\n")]);
  }
  return plans;
}

function check(name: string, plan: string): void {
  const about = `${name}\n${plan}`;
  assert(!/(Seq|Bitmap Heap) Scan on/.test(plan), about);
  const scans = `\n${plan}`.split(/(?=Index (?:Only )?Scan)/).slice(1);
  assert(scans.length > 0, about);
  for (const scan of scans) {
    const [condition = ""] = /Index Cond:.*/.exec(scan) ?? [];
    assert(/tenant =/.test(condition) && /ledger >?=/.test(condition), about);
    // A ledger's name alone finds one row, the heads, or all keys, which are few.
    const isNamed = /^Index (Only )?Scan (Backward )?using ledger_/.test(scan) ||
      whole.includes(name);
    assert(isNamed || /\((cid|seq|item|digest|name) /.test(condition), about);
    if (whole.includes(name)) assert(!/Filter:/.test(scan), about);
  }
}
