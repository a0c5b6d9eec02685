/** Opens the SQLite file: for this process alone, durable at every commit, at the newest schema. */

import { DatabaseSync } from "node:sqlite";
import { HearthError } from "../../protocol/errors.ts";
import { createEpoch } from "./epoch.ts";
import { sqliteMigrations } from "./migrations/sqlite.ts";
import { textOf } from "./rows.ts";
import { sqliteCodeOf, sqliteCodes } from "./sqlite_errors.ts";

/** Options of {@linkcode openDatabase}. */
export interface DatabaseOptions {
  /** The file; it and its folder are made when they are not there. */
  readonly path: string;
  /** Size beyond which the file does not grow: commits are refused as on a full disk. @default none */
  readonly maxBytes?: number | undefined;
  /** How long a server that is being replaced has to let go of the file. @default 2000 */
  readonly busyTimeoutMs?: number | undefined;
}

/** An open file and the history it holds. */
export interface OpenDatabase {
  readonly database: DatabaseSync;
  readonly epoch: string;
}

/**
 * Opens the file.
 *
 * @throws {HearthError} `UNAVAILABLE` when another process holds it, it is of a newer release, or
 * it cannot be made durable
 */
export function openDatabase(
  { path, maxBytes, busyTimeoutMs = 2000 }: DatabaseOptions,
): OpenDatabase {
  const database = new DatabaseSync(path);
  try {
    database.prepare(`pragma busy_timeout = ${busyTimeoutMs}`).get();
    setPragmas(database, path);
    if (maxBytes !== undefined) limitSize(database, maxBytes);
    migrate(database, path);
    return { database, epoch: findEpoch(database) };
  } catch (error) {
    database.close();
    if (sqliteCodeOf(error) !== sqliteCodes.busy) throw error;
    throw new HearthError(
      "UNAVAILABLE",
      `Cannot open "${path}": another server holds it; stop that one first`,
      {
        cause: error,
      },
    );
  }
}

/**
 * What an ack rests on. The lock comes first: once it is exclusive, write-ahead mode needs no shared
 * memory, and a second process fails at its first access. Full synchronisation means that each
 * commit waits for the log to be on the disk (https://sqlite.org/pragma.html#pragma_synchronous).
 */
const pragmas: readonly (readonly [name: string, value: string, found: unknown])[] = [
  ["locking_mode", "exclusive", "exclusive"],
  ["journal_mode", "wal", "wal"],
  ["synchronous", "full", 2],
  // On macOS an ordinary fsync leaves the bytes in the drive's cache; elsewhere this does nothing.
  ["fullfsync", "on", 1],
  ["checkpoint_fullfsync", "on", 1],
  // Pages (of 4 KiB) of the log before it is folded into the file. A page that changes with each commit
  // is then folded in four times less often than by default, which made commits a tenth cheaper.
  ["wal_autocheckpoint", "4000", 4000],
];

function setPragmas(database: DatabaseSync, path: string): void {
  for (const [name, value, expected] of pragmas) {
    database.prepare(`pragma ${name} = ${value}`).get();
    const found = readPragma(database, name);
    if (found === expected) continue;
    throw new HearthError(
      "UNAVAILABLE",
      `Cannot open "${path}": ${name} should be ${value} and stays ${found}`,
    );
  }
}

function readPragma(database: DatabaseSync, name: string): unknown {
  return Object.values(database.prepare(`pragma ${name}`).get() ?? {})[0];
}

function limitSize(database: DatabaseSync, maxBytes: number): void {
  const pages = Math.floor(maxBytes / Number(readPragma(database, "page_size")));
  database.prepare(`pragma max_page_count = ${pages}`).get();
}

function migrate(database: DatabaseSync, path: string): void {
  const version = Number(readPragma(database, "user_version"));
  if (version > sqliteMigrations.length) {
    throw new HearthError(
      "UNAVAILABLE",
      `Cannot open "${path}": its schema is version ${version}, ` +
        `and this release knows versions up to ${sqliteMigrations.length}`,
    );
  }
  for (const [at, migration] of sqliteMigrations.entries()) {
    if (at < version) continue;
    database.exec(`begin immediate; ${migration}; pragma user_version = ${at + 1}; commit`);
  }
}

function findEpoch(database: DatabaseSync): string {
  const select = database.prepare("select epoch from history");
  const row = select.get();
  if (row) return textOf(row, "epoch");
  const epoch = createEpoch();
  database.prepare("insert into history (epoch) values (?)").run(epoch);
  return epoch;
}
