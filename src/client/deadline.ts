/** Waits that end. */

import type { Clock } from "../base/clock.ts";
import { orAbort } from "../base/or_abort.ts";
import { HearthError } from "../protocol/errors.ts";

/** Options of {@linkcode withDeadline}. */
export interface DeadlineOptions {
  readonly clock: Clock;
  readonly ms: number;
  readonly signal: AbortSignal;
  /** What is attempted, for the error: `open a socket`. */
  readonly what: string;
}

/**
 * Runs something that has so long and no longer.
 *
 * @throws {HearthError} `TIMEOUT` when it takes longer; the signal's reason when it is aborted
 */
export async function withDeadline<T>(
  run: (signal: AbortSignal) => Promise<T>,
  { clock, ms, signal, what }: DeadlineOptions,
): Promise<T> {
  const timeout = new AbortController();
  const cancel = clock.after(ms, () => {
    timeout.abort(new HearthError("TIMEOUT", `Cannot ${what}: no answer within ${ms} ms`));
  });
  const either = AbortSignal.any([signal, timeout.signal]);
  try {
    return await orAbort(run(either), either);
  } finally {
    cancel();
  }
}
