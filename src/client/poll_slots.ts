/** Shares a few polls among many watches: a browser opens six connections to a host, not sixty. */

import { Semaphore } from "../base/semaphore.ts";

/** Polls at once. */
const maxPolls = 3;
/** With more watches than slots: the time in which each has had its turn. */
const roundMs = 5_000;

/** The polls of one client. */
export class PollSlots {
  readonly #slots = new Semaphore(maxPolls);
  /** How many ledgers share the slots. */
  sharers = 0;

  /** How long a poll may wait, so that the others have their turn in time. */
  waitMs(heartbeatMs: number): number {
    if (this.sharers <= maxPolls) return heartbeatMs;
    return Math.min(heartbeatMs, Math.round(roundMs * maxPolls / this.sharers));
  }

  /** Waits for a slot; returns the function that gives it back. */
  take(signal: AbortSignal): Promise<() => void> {
    return this.#slots.take(1, signal);
  }
}
