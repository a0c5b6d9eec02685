/** What the errors of Postgres and of its driver mean for a caller. */

import { HearthError } from "../../protocol/errors.ts";

/**
 * What kind of fault it is:
 * - `lost`: the connection ended, or none could be made;
 * - `conflict`: the transaction was rolled back for the sake of another one;
 * - `busy`: it waited too long, for a lock or at all;
 * - `refused`: the database does not let this server in, or write;
 * - `full`: there is no room;
 * - `other`: anything else, bugs among them.
 */
export type Fault = "lost" | "conflict" | "busy" | "refused" | "full" | "other";

/** Advice to those who are refused while the database is away or busy. */
export const retryAfterMs = 1000;

/** Codes of the driver and of sockets, and SQLSTATEs or their classes (the first two characters). */
const faults: Readonly<Record<string, Fault>> = {
  CONNECTION_CLOSED: "lost",
  CONNECTION_ENDED: "lost",
  CONNECTION_DESTROYED: "lost",
  CONNECT_TIMEOUT: "lost",
  ECONNREFUSED: "lost",
  ECONNRESET: "lost",
  ECONNABORTED: "lost",
  EPIPE: "lost",
  ETIMEDOUT: "lost",
  EHOSTUNREACH: "lost",
  ENETUNREACH: "lost",
  ENOTFOUND: "lost",
  EAI_AGAIN: "lost",
  ENOENT: "lost", // no socket at the path
  "08": "lost", // connection exception
  "25P03": "lost", // idle in transaction for too long
  "53300": "lost", // too many connections
  "57P01": "lost", // ended by an administrator, or by a shutdown
  "57P02": "lost", // ended by the crash of another process
  "57P03": "lost", // starting up or shutting down
  "57P05": "lost", // idle for too long
  "40001": "conflict",
  "40P01": "conflict",
  "22012": "conflict", // a ledger that another server made behind our locks (postgres_write.ts)
  "55P03": "busy", // lock_timeout
  "57014": "busy", // statement_timeout
  "25006": "refused", // read-only
  "28": "refused", // authorization
  "3D": "refused", // no such database
  "57P04": "refused", // the database was dropped
  "53100": "full",
};

/** The kind of a fault. */
export function faultOf(error: unknown): Fault {
  const code = codeOf(error);
  return code === undefined ? "other" : faults[code] ?? faults[code.slice(0, 2)] ?? "other";
}

/** Turns an error into the one that callers know. */
export function toStoreError(error: unknown, attempt: string): HearthError {
  if (error instanceof HearthError) return error;
  const fault = faultOf(error);
  const code = codeOf(error) ?? "no code";
  switch (fault) {
    case "full":
      return new HearthError("STORAGE_FULL", `Cannot ${attempt}: the database has no room left`, {
        cause: error,
      });
    case "lost":
    case "conflict":
    case "busy":
    case "refused":
      return new HearthError("UNAVAILABLE", `Cannot ${attempt}: ${meanings[fault]} (${code})`, {
        cause: error,
        details: { retryAfterMs },
      });
    case "other":
      return new HearthError("INTERNAL", `Cannot ${attempt}: the database failed (${code})`, {
        cause: error,
      });
  }
}

const meanings = {
  lost: "the connection to the database ended, or none could be made",
  conflict: "the database gave other transactions precedence each time",
  busy: "the database took too long",
  refused: "the database does not let this server in, or does not let it write",
} as const satisfies Partial<Record<Fault, string>>;

function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}
