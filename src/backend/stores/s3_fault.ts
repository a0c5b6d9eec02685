/** What S3 answers when it does not do what it was asked: whether to try again, and the error it is. */

import { type Code, HearthError } from "../../protocol/errors.ts";

/** One attempt that failed. */
export interface S3Fault {
  /** Absent when there was no answer. */
  readonly status?: number | undefined;
  /** S3's own name of it: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html */
  readonly code?: string | undefined;
  /** What S3 asked for; 0 when it asked for nothing. */
  readonly retryAfterMs: number;
  /** Where the bucket is, when it is elsewhere. */
  readonly region?: string | undefined;
  /** Why there was no answer. */
  readonly cause?: unknown;
}

const transientStatuses = [408, 429, 500, 502, 503, 504];
/** Names that count for more than the status beside them. */
const transientCodes = [
  "RequestTimeout", // Comes with 400.
  "IncompleteBody",
  "BadDigest", // The bytes were checked here: they were damaged on the way.
  "XAmzContentSHA256Mismatch",
  "XAmzContentChecksumMismatch",
  "ConditionalRequestConflict", // Somebody else puts the same object right now.
  "OperationAborted",
  "InternalError",
  "ServiceUnavailable",
  "SlowDown",
];
/** How AWS-like servers tell of a full disk or quota. */
const fullCodes = [
  "InsufficientStorage",
  "QuotaExceeded",
  "XMinioStorageFull",
  "XMinioAdminBucketQuotaExceeded",
];
/** The longest pause that a server is obeyed in; a longer one is the caller's to wait. */
const maxRetryAfterMs = 10 * 60_000;
/** When S3 does not say how long it will be busy. */
const defaultRetryAfterMs = 2_000;

/** Reads an answer that is no success. @param text its body, as far as it was read */
export function toFault(status: number, headers: Headers, text: string, now: number): S3Fault {
  return {
    status,
    code: /<Code>([A-Za-z0-9.]{1,64})<\/Code>/.exec(text)?.[1],
    retryAfterMs: parseRetryAfter(headers.get("retry-after"), now),
    region: headers.get("x-amz-bucket-region")?.match(/^[a-z0-9-]{1,32}$/)?.[0],
  };
}

/** Whether another attempt may end better. */
export function isTransient({ status, code }: S3Fault): boolean {
  if (isFull({ status, code })) return false;
  if (status === undefined || transientStatuses.includes(status)) return true;
  return code !== undefined && transientCodes.includes(code);
}

/**
 * The error that a fault is.
 *
 * @param what was attempted: `store blob …`
 * @param action S3's name of the request
 */
export function toS3Error(
  fault: S3Fault,
  { what, action, attempts }: {
    readonly what: string;
    readonly action: string;
    readonly attempts: number;
  },
): HearthError {
  const transient = isTransient(fault);
  const code: Code = isFull(fault) ? "STORAGE_FULL" : transient ? "UNAVAILABLE" : "INTERNAL";
  const times = attempts > 1 ? `, after ${attempts} attempts` : "";
  return new HearthError(code, `Cannot ${what}: ${describe(fault, action)}${times}`, {
    details: transient
      ? { retryAfterMs: Math.max(fault.retryAfterMs, defaultRetryAfterMs) }
      : undefined,
    cause: fault.cause,
  });
}

function isFull({ status, code }: Pick<S3Fault, "status" | "code">): boolean {
  return status === 507 || code !== undefined && fullCodes.includes(code);
}

function describe({ status, code, region }: S3Fault, action: string): string {
  if (status === undefined) return `S3 does not answer ${action}`;
  const found = `HTTP ${status}${code === undefined ? "" : ` ${code}`}`;
  if (status === 401 || status === 403) return `S3 refuses ${action} (${found})`;
  if (status >= 300 && status < 400) {
    const where = region === undefined ? "" : `, in region ${region}`;
    return `the bucket is at another endpoint${where}: ${action} (${found})`;
  }
  return `S3 fails at ${action} (${found})`;
}

/** Seconds or a date. */
function parseRetryAfter(text: string | null, now: number): number {
  if (text === null) return 0;
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now;
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), maxRetryAfterMs) : 0;
}
