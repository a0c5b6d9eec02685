/** How blobs are kept in S3: in which bucket, and with which bounds. */

import type { Clock } from "../../base/clock.ts";
import type { HearthError } from "../../protocol/errors.ts";
import type { S3Place } from "./s3_place.ts";

/** Options of `openS3`. */
export interface S3Options extends S3Place {
  /**
   * Larger blobs are uploaded in parts of this size, smaller ones at once: so much of each upload
   * is in memory. At least 5 MiB, which S3 demands, unless `allowSmallParts`.
   *
   * @default 8388608
   */
  readonly partBytes?: number | undefined;
  /** Whether the server takes small parts, as those for tests do. @default false */
  readonly allowSmallParts?: boolean | undefined;
  /** Requests that wait for their answer at once, and uploads of `partBytes` at once. @default 16 */
  readonly maxConcurrent?: number | undefined;
  /** How often one request is sent at most. @default 5 */
  readonly maxAttempts?: number | undefined;
  /** How long to wait for what. */
  readonly timeouts?: S3Timeouts | undefined;
  /** Hears that parts of a failed upload could not be removed. @default nobody does */
  readonly onLeftover?: ((error: HearthError) => void) | undefined;
  /** @default the machine's */
  readonly clock?: Clock | undefined;
  /** A number in [0, 1). @default Math.random */
  readonly random?: (() => number) | undefined;
  /** @default fetch */
  readonly fetch?: typeof fetch | undefined;
}

/** How long to wait, in ms. Requests with a body have more, by its size. */
export interface S3Timeouts {
  /** For the answer to one attempt. @default 15000 */
  readonly attemptMs?: number | undefined;
  /** For all attempts, the pauses between and the turn of a request. @default 60000 */
  readonly deadlineMs?: number | undefined;
  /** For the next bytes of a body. @default 15000 */
  readonly stallMs?: number | undefined;
}

/** The bounds of a store, each given or by default. */
export interface S3Limits {
  readonly partBytes: number;
  readonly maxConcurrent: number;
  readonly maxAttempts: number;
}

const minPartBytes = 5 << 20;

/** Fills in and checks bounds. @throws {RangeError} when one is too low or no whole number */
export function readS3Limits(options: S3Options): S3Limits {
  const { partBytes = 8 << 20, maxConcurrent = 16, maxAttempts = 5 } = options;
  const limits = { partBytes, maxConcurrent, maxAttempts };
  for (const [name, value] of Object.entries(limits)) {
    const min = name === "partBytes" && !options.allowSmallParts ? minPartBytes : 1;
    if (!(Number.isSafeInteger(value) && value >= min)) {
      throw new RangeError(`Cannot open S3: ${name} is ${value}, allowed is ${min} or more`);
    }
  }
  return limits;
}
