/** The reference of commits: bare rows of the same bytes into SQLite, each durable before the next. */

import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { serveCalls } from "../harness/worker.ts";

const calls = {
  open: ({ folder }: { folder: string }): void => {
    const database = new DatabaseSync(join(folder, "bare.sqlite"));
    database.exec("pragma journal_mode = wal; pragma synchronous = full");
    database.exec("create table bare (id integer primary key, meta blob, content blob) strict");
    insert = database.prepare("insert into bare (meta, content) values (?, ?)");
  },
  /** Inserts for so long; gives rows per second. */
  run: ({ ms }: { ms: number }): number => {
    if (!insert) throw new Error("Cannot insert: the database is not open");
    // As many bytes as a commit's meta with its CIDs, and its blob.
    const rows = Array.from({ length: 64 }, () => [randomBytes(360), randomBytes(1024)] as const);
    const start = performance.now();
    let count = 0;
    for (; performance.now() - start < ms; count++) insert.run(...rows[count % rows.length] ?? []);
    return count / (performance.now() - start) * 1000;
  },
};

let insert: StatementSync | undefined;

export type SqliteInserts = typeof calls;
await serveCalls(calls);
