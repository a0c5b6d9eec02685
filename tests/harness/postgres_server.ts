/** Databases of a test's own on the Postgres server of the machine, which must be there. */

import process from "node:process";
import postgres from "postgres";
import type { MetaStore } from "../../src/backend/stores/meta_store.ts";
import { openPostgres, type PostgresOptions } from "../../src/backend/stores/postgres.ts";

/** Where the server listens: `HEARTH_TEST_POSTGRES`, or the usual place on the loopback address. */
export const serverUrl: URL = new URL(
  process.env["HEARTH_TEST_POSTGRES"] ?? "postgres://postgres@127.0.0.1:5432/postgres",
);

/** A row of an answer. */
export type TestRow = Readonly<Record<string, unknown>>;

/** Databases that go when the test goes. */
export interface TestDatabases extends AsyncDisposable {
  /** An empty database that nobody else uses until it is given back. */
  take(): Promise<TestDatabase>;
  /** A store on a database of its own, which is given back when the store is disposed. */
  open(options?: Omit<PostgresOptions, "url">): Promise<MetaStore>;
}

/** A database; disposing it empties it for the next test, since making one takes long. */
export interface TestDatabase extends AsyncDisposable {
  readonly url: string;
  readonly name: string;
  /** Runs SQL through a connection that no store knows of. */
  query(text: string, values?: readonly (string | number)[]): Promise<readonly TestRow[]>;
}

/** Opens the server. */
export function openTestDatabases(): TestDatabases {
  const admin = connect(serverUrl.href);
  const all: { readonly name: string; readonly client: postgres.Sql }[] = [];
  const free: TestDatabase[] = [];

  const make = async (): Promise<TestDatabase> => {
    const name = `hearth_test_${crypto.randomUUID().replaceAll("-", "")}`;
    const url = Object.assign(new URL(serverUrl), { pathname: name }).href;
    const client = connect(url);
    all.push({ name, client });
    await admin.unsafe(`create database ${name} template template0`);
    const database: TestDatabase = {
      url,
      name,
      query: async (text, values = []) => [...await client.unsafe(text, [...values])],
      async [Symbol.asyncDispose]() {
        await client.unsafe("drop schema if exists hearth cascade");
        free.push(database);
      },
    };
    return database;
  };
  const take = async () => free.pop() ?? await make();

  return {
    take,
    async open(options) {
      const database = await take();
      const store = await openPostgres({ ...options, url: database.url });
      const end = store[Symbol.asyncDispose].bind(store);
      store[Symbol.asyncDispose] = async () => {
        await end();
        await database[Symbol.asyncDispose]();
      };
      return store;
    },
    async [Symbol.asyncDispose]() {
      for (const { name, client } of all) {
        await client.end({ timeout: 5 });
        await admin.unsafe(`drop database if exists ${name} with (force)`);
      }
      await admin.end({ timeout: 5 });
    },
  };
}

function connect(url: string) {
  return postgres(url, { max: 1, fetch_types: false, onnotice: () => {} });
}
