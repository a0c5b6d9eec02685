/** What SQLite's own errors mean for a caller. */

import { HearthError } from "../../protocol/errors.ts";

/** Result codes, https://sqlite.org/rescode.html. */
export const sqliteCodes = { busy: 5, full: 13 } as const;

/** The primary result code of an error, if it is one of SQLite's. */
export function sqliteCodeOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("errcode" in error)) return undefined;
  // The upper bits tell details that nothing here depends on.
  return typeof error.errcode === "number" ? error.errcode & 0xff : undefined;
}

/** Turns a full disk into its code; whatever else it is stays as it is. */
export function toStoreError(error: unknown, attempt: string): unknown {
  if (sqliteCodeOf(error) !== sqliteCodes.full) return error;
  return new HearthError("STORAGE_FULL", `Cannot ${attempt}: the database has no room left`, {
    cause: error,
  });
}
