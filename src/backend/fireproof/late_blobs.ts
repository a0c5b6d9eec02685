/** Readers that wait for a blob which is announced and late. */

import { type Clock, pause } from "../../base/clock.ts";
import { refKey } from "../stores/names.ts";
import type { BlobRef } from "../../protocol/model.ts";
import type { LedgerId } from "../stores/meta_store.ts";

/** How often a waiting reader looks by itself: another instance may have taken the blob. */
const lookMs = 500;
/** Most readers that wait; those beyond are told at once that it is not there. */
const maxWaiting = 1000;

/** Wakes who waits. */
export class LateBlobs {
  readonly #clock: Clock;
  readonly #stopping: AbortSignal;
  readonly #waiting = new Map<string, Set<AbortController>>();
  #size = 0;

  constructor(clock: Clock, stopping: AbortSignal) {
    this.#clock = clock;
    this.#stopping = stopping;
  }

  /** Somebody has stored a blob. */
  came(ledger: LedgerId, ref: BlobRef): void {
    for (const waiter of this.#waiting.get(nameOf(ledger, ref)) ?? []) waiter.abort();
  }

  /** Looks again and again until it finds something, or the time is over. */
  async wait<T>(
    ledger: LedgerId,
    ref: BlobRef,
    maxMs: number,
    look: () => Promise<T | undefined>,
  ): Promise<T | undefined> {
    if (this.#size >= maxWaiting) return undefined;
    const name = nameOf(ledger, ref);
    const endsAt = this.#clock.now() + maxMs;
    this.#size++;
    try {
      for (;;) {
        const woken = new AbortController();
        const waiters = this.#waiting.get(name) ?? new Set();
        this.#waiting.set(name, waiters.add(woken));
        try {
          // Behind the line above: what comes from now on wakes.
          const found = await look();
          if (found !== undefined) return found;
          if (this.#stopping.aborted || this.#clock.now() >= endsAt) return undefined;
          await pause(this.#clock, lookMs, woken.signal, this.#stopping);
        } finally {
          waiters.delete(woken);
          if (waiters.size === 0) this.#waiting.delete(name);
        }
      }
    } finally {
      this.#size--;
    }
  }
}

function nameOf(ledger: LedgerId, ref: BlobRef): string {
  return `${ledger}/${refKey(ref)}`;
}
