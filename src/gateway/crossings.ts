/**
 * Spaces out the merges of devices that write at once. Where each writes on top of what the other
 * wrote meanwhile, their histories cross, and Fireproof 0.24 walks every path through them: twice as
 * many with each crossing, until one device has all of the other's writes. After some thirty it
 * would never end.
 */

import { type Clock, sleep } from "../base/clock.ts";

/** Crossings in a row that cost next to nothing. */
const freeCrossings = 3;
/** Pause before the one after those; each further pause is twice as long as the one before. */
const firstPauseMs = 100;

/** The crossings of one database, whose state is named by its head: the text of its events. */
export class Crossings {
  readonly #clock: Clock;
  #inARow = 0;
  #mergedAt = -Infinity;
  #mergedTo: string | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Waits until there may be a merge into this head: not at all when the device has written nothing
   * since the last one.
   *
   * @throws the signal's reason when it is aborted
   */
  async pause(head: readonly string[], signal: AbortSignal): Promise<void> {
    if (`${head}` === this.#mergedTo || this.#inARow < freeCrossings) return;
    const pauseMs = firstPauseMs * 2 ** (this.#inARow - freeCrossings);
    await sleep(this.#clock, Math.max(0, this.#mergedAt + pauseMs - this.#clock.now()), signal);
  }

  /** Notes a merge. */
  merged(before: readonly string[], after: readonly string[]): void {
    const crossed = before.some((event) => after.includes(event));
    if (!crossed) this.#inARow = 0;
    else if (`${before}` !== this.#mergedTo) this.#inARow++;
    this.#mergedAt = this.#clock.now();
    this.#mergedTo = `${after}`;
  }
}
