/** Every error code: its HTTP status, the close code if it ends a socket, and what to do next. */

/** What the receiver of an error may do: give up, try again after a pause, or bring a new token. */
export type Retry = "never" | "later" | "reauth";

interface CodeRow {
  readonly status: number;
  readonly retry: Retry;
  /** Close code when this error ends a WebSocket; absent when the connection lives on. */
  readonly close?: number;
  readonly meaning: string;
}

/** The closed table of codes. PROTOCOL.md repeats it; a test holds the two equal. */
export const codes = {
  BAD_FRAME: {
    status: 400,
    retry: "never",
    close: 1007,
    meaning: "the bytes are not well-formed frames of this protocol",
  },
  TOO_LARGE: {
    status: 413,
    retry: "never",
    close: 1009,
    meaning: "the message or body is larger than `hello` allows",
  },
  HELLO_REQUIRED: {
    status: 400,
    retry: "never",
    close: 1008,
    meaning: "the first frame was not `hello`, or it did not come in time",
  },
  ALREADY_GREETED: {
    status: 409,
    retry: "never",
    meaning: "a second `hello` on one connection; `auth` renews a token",
  },
  VERSION_UNSUPPORTED: {
    status: 400,
    retry: "never",
    close: 1008,
    meaning: "the server does not speak the protocol version asked for",
  },
  METHOD_UNKNOWN: { status: 404, retry: "never", meaning: "no method has this name" },
  WRONG_TRANSPORT: {
    status: 400,
    retry: "never",
    meaning: "the method belongs to the other transport (`watch` to sockets, `poll` to HTTP)",
  },
  BAD_PARAMS: {
    status: 400,
    retry: "never",
    meaning: "the parameters do not have the method's form",
  },
  UNAUTHENTICATED: {
    status: 401,
    retry: "reauth",
    close: 4401,
    meaning: "the token is missing, malformed, expired, revoked or for another audience",
  },
  FORBIDDEN: {
    status: 403,
    retry: "never",
    meaning: "the token does not grant this right on this ledger",
  },
  LEDGER_UNKNOWN: {
    status: 404,
    retry: "never",
    meaning: "the ledger does not exist and is not created on first write here",
  },
  MISSING_BLOBS: {
    status: 409,
    retry: "never",
    meaning: "the commit names blobs that are not stored; `details.blobs` lists them",
  },
  DIGEST_MISMATCH: {
    status: 422,
    retry: "never",
    meaning: "bytes do not have the digest or size that was declared for them",
  },
  CURSOR_INVALID: {
    status: 410,
    retry: "never",
    meaning: "the cursor is of another epoch or above the head; watch without a cursor",
  },
  CONFLICT: {
    status: 409,
    retry: "never",
    meaning: "the record is at another version; `details.version` tells which",
  },
  NOT_FOUND: { status: 404, retry: "never", meaning: "the ledger does not hold this blob" },
  RATE_LIMITED: {
    status: 429,
    retry: "later",
    meaning: "too much at once; wait `details.retryAfterMs`",
  },
  SLOW_CONSUMER: {
    status: 503,
    retry: "later",
    close: 1013,
    meaning: "the connection does not read as fast as it is sent to; resume by cursor",
  },
  UNAVAILABLE: {
    status: 503,
    retry: "later",
    close: 1001,
    meaning: "the server is stopping or its store cannot be reached",
  },
  STORAGE_FULL: {
    status: 507,
    retry: "later",
    meaning: "there is no room; nothing of the request was kept",
  },
  INTERNAL: {
    status: 500,
    retry: "later",
    meaning: "an unforeseen fault; `details.id` finds it in the server's log",
  },
  TIMEOUT: {
    status: 504,
    retry: "later",
    meaning: "no answer in time (raised by the client alone)",
  },
  CLOSED: {
    status: 499,
    retry: "later",
    meaning: "the connection ended before the answer (raised by the client alone)",
  },
} as const satisfies Record<string, CodeRow>;

/** The name of an error. */
export type Code = keyof typeof codes;

/** What some codes carry along; see the table in PROTOCOL.md. */
export interface ErrorDetails {
  /** With `MISSING_BLOBS`: what has to be uploaded first. */
  readonly blobs?: readonly { readonly store: "car" | "file"; readonly cid: string }[] | undefined;
  /** With `CONFLICT`: the version the record has now. */
  readonly version?: number | undefined;
  /** With `RATE_LIMITED` and `UNAVAILABLE`: milliseconds to wait before the next attempt. */
  readonly retryAfterMs?: number | undefined;
  /** With `INTERNAL`: the line in the server's log. */
  readonly id?: string | undefined;
}

/** Options of a {@linkcode HearthError}. */
export interface HearthErrorOptions extends ErrorOptions {
  /** What this code carries along. */
  readonly details?: ErrorDetails | undefined;
}

/**
 * The one error of Hearth, on both sides of the wire.
 *
 * @example Telling apart what can be retried
 * ```ts
 * import { HearthError } from "./errors.ts";
 *
 * const error = new HearthError("FORBIDDEN", 'Cannot commit to "acme/todos": the token grants read');
 * console.log(error.code, error.retry); // FORBIDDEN never
 * ```
 */
export class HearthError extends Error {
  /** Name of the class. */
  override readonly name = "HearthError";
  /** Stable name of what went wrong. */
  readonly code: Code;
  /** What to do next. */
  readonly retry: Retry;
  /** Data that belongs to the code, if any. */
  readonly details: ErrorDetails | undefined;

  /**
   * Makes an error.
   *
   * @param code what went wrong
   * @param message what was attempted, on what, and the state found
   * @param options the cause and the code's own data
   */
  constructor(code: Code, message: string, options: HearthErrorOptions = {}) {
    super(message, options);
    this.code = code;
    this.retry = codes[code].retry;
    this.details = options.details;
  }
}

/** HTTP status of a code. */
export function statusOf(code: Code): number {
  return codes[code].status;
}

/** The close code with which an error ends a socket, or nothing when the socket lives on. */
export function closeCodeOf(code: Code): number | undefined {
  const row: CodeRow = codes[code];
  return row.close;
}
