/** Barks when a deadline that keeps moving has passed. */

import type { Clock } from "../base/clock.ts";
import { heartbeatGraceMs } from "../protocol/limits.ts";

/** One timer for any number of deadlines. */
export class Watchdog {
  readonly #clock: Clock;
  readonly #next: () => number | undefined;
  readonly #bark: (waitedMs: number) => void;
  #cancel: (() => void) | undefined;
  #startedAt = 0;

  /**
   * @param next the earliest deadline; nothing when there is none
   * @param bark called when it has passed
   */
  constructor(clock: Clock, next: () => number | undefined, bark: (waitedMs: number) => void) {
    this.#clock = clock;
    this.#next = next;
    this.#bark = bark;
  }

  /** Watches, unless it does already. */
  start(): void {
    if (this.#cancel) return;
    this.#startedAt = this.#clock.now();
    this.#arm(this.#leftMs());
  }

  /** Stops watching. */
  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** Looks again at least so often, since a deadline set later may be an earlier one. */
  #leftMs(): number {
    return Math.min(maxPauseMs, (this.#next() ?? Infinity) - this.#clock.now());
  }

  #arm(ms: number): void {
    const dueAt = this.#clock.now() + ms;
    this.#cancel = this.#clock.after(ms, () => {
      this.#cancel = undefined;
      const now = this.#clock.now();
      // A timer that comes late tells of a machine that slept: the answer may be just behind it.
      if (now - dueAt > heartbeatGraceMs) return this.#arm(heartbeatGraceMs);
      const leftMs = this.#leftMs();
      if (leftMs > 0) this.#arm(Math.max(minPauseMs, leftMs));
      else this.#bark(now - this.#startedAt);
    });
  }
}

const minPauseMs = 100;
const maxPauseMs = 5_000;
