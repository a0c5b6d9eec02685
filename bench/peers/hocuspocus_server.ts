/** Hocuspocus with its defaults, and one row a document in SQLite, as its documentation sets it up. */

import { join } from "node:path";
import process from "node:process";
import { DatabaseSync } from "node:sqlite";

/** The slice of `@hocuspocus/server` that is used here. */
interface ServerPackage {
  readonly Server: new (configuration: {
    readonly address: string;
    readonly port: number;
    readonly quiet: boolean;
    readonly timeout: number;
    readonly extensions: readonly unknown[];
  }) => { listen(): Promise<unknown> };
}

/** The slice of `@hocuspocus/extension-database`. */
interface DatabasePackage {
  readonly Database: new (configuration: {
    fetch(document: { readonly documentName: string }): Promise<Uint8Array | null>;
    store(document: { readonly documentName: string; readonly state: Uint8Array }): Promise<void>;
  }) => unknown;
}

// By their names in a variable: only this folder installs them, and the type check must not miss them.
const [server, extension] = ["@hocuspocus/server", "@hocuspocus/extension-database"] as const;
const { Server }: ServerPackage = await import(server);
const { Database }: DatabasePackage = await import(extension);

const { DATA = ".", PORT } = process.env;
const database = new DatabaseSync(join(DATA, "documents.sqlite"));
database.exec("create table documents (name text primary key, state blob not null) strict");
const find = database.prepare("select state from documents where name = ?");
const keep = database.prepare("insert or replace into documents (name, state) values (?, ?)");

await new Server({
  address: "127.0.0.1",
  port: Number(PORT),
  quiet: true,
  // By default a client that sends nothing for a minute is closed: some only watch here.
  timeout: 600_000,
  extensions: [
    new Database({
      fetch: ({ documentName }) => {
        const state = find.get(documentName)?.state;
        return Promise.resolve(state instanceof Uint8Array ? state : null);
      },
      store: ({ documentName, state }) => {
        keep.run(documentName, state);
        return Promise.resolve();
      },
    }),
  ],
}).listen();
