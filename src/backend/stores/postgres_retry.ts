/** Repeats work that failed for want of a connection, or for the sake of another transaction. */

import { backoffMs } from "../../base/backoff.ts";
import { type Clock, pause } from "../../base/clock.ts";
import { faultOf, toStoreError } from "./postgres_errors.ts";

/** Options of {@linkcode repeatLost}. */
export interface RepeatOptions {
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
}

const maxRepeats = 6;
const baseMs = 50;
/** No repeat begins later than this. */
const giveUpMs = 30_000;

/**
 * Does the work until it succeeds, fails for good, or was repeated for long enough.
 *
 * @param attempt what is attempted, for messages
 * @param work what is harmless to repeat; it is told how many times it was repeated
 * @throws {HearthError} what it failed with at last
 */
export async function repeatLost<T>(
  attempt: string,
  work: (repeats: number) => Promise<T>,
  { clock, random }: RepeatOptions,
): Promise<T> {
  const start = clock.now();
  for (let repeats = 0;; repeats++) {
    try {
      return await work(repeats);
    } catch (error) {
      const fault = faultOf(error);
      const isPassing = fault === "lost" || fault === "conflict";
      const isLate = repeats >= maxRepeats || clock.now() - start > giveUpMs;
      if (!isPassing || isLate) throw toStoreError(error, attempt);
    }
    await pause(clock, backoffMs(repeats, random(), { baseMs, atLeastMs: baseMs / 2 }));
  }
}
