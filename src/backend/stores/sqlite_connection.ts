/** The one connection to the SQLite file, which everything that the file keeps shares. */

import type { DatabaseSync } from "node:sqlite";
import { HearthError } from "../../protocol/errors.ts";
import { toStoreError } from "./sqlite_errors.ts";
import { prepareStatements } from "./sqlite_sql.ts";

const sql = { begin: "begin immediate", commit: "commit", rollback: "rollback" } as const;

/**
 * The driver is synchronous: what a call does between its start and its promise is one step that no
 * other call can come between. So reads of several statements need no transaction, and no two
 * transactions ever mix.
 */
export class SqliteConnection {
  readonly #database: DatabaseSync;
  readonly #sql;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#sql = prepareStatements(database, sql);
  }

  /** @throws {HearthError} `UNAVAILABLE` when the file is closed */
  read<T>(attempt: string, work: () => T): Promise<T> {
    return Promise.try(() => {
      if (this.#database.isOpen) return work();
      throw new HearthError("UNAVAILABLE", `Cannot ${attempt}: the database is closed`);
    });
  }

  /**
   * Everything written is on the disk when the promise resolves, or nothing is when it rejects.
   *
   * @throws {HearthError} `UNAVAILABLE` when the file is closed, `STORAGE_FULL` when there is no room
   */
  write<T>(attempt: string, work: () => T, after: AfterWrite = {}): Promise<T> {
    return this.read(attempt, () => {
      try {
        this.#sql.begin.run();
        const result = work();
        this.#sql.commit.run();
        after.committed?.();
        return result;
      } catch (error) {
        // SQLite has rolled back by itself after some faults, a full disk among them.
        if (this.#database.isTransaction) this.#sql.rollback.run();
        after.rolledBack?.();
        throw toStoreError(error, attempt);
      }
    });
  }

  /** Closes the file, once. */
  close(): void {
    if (this.#database.isOpen) this.#database.close();
  }
}

/** What follows a transaction, in the same step. */
export interface AfterWrite {
  committed?(): void;
  rolledBack?(): void;
}
