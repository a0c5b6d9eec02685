/** Lets in as much as there is room for, in order. */

import { orAbort } from "./or_abort.ts";

interface Waiter {
  readonly amount: number;
  admit(): void;
}

/** A bound shared by many. */
export class Semaphore {
  readonly #capacity: number;
  #free: number;
  /** Bounded by who uses it; see there. */
  #waiting: Waiter[] = [];

  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#free = capacity;
  }

  /**
   * Waits for room; returns the function that gives it back. Who wants more than there is in all
   * gets in alone.
   *
   * @throws the signal's reason
   */
  async take(amount: number, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    const taken = Math.min(amount, this.#capacity);
    if (this.#waiting.length === 0 && taken <= this.#free) this.#free -= taken;
    else await this.#wait(taken, signal);
    return () => this.#give(taken);
  }

  async #wait(amount: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve: admit } = Promise.withResolvers<void>();
    const waiter = { amount, admit };
    this.#waiting.push(waiter);
    try {
      await orAbort(promise, signal);
    } catch (error) {
      const still = this.#waiting.includes(waiter);
      this.#waiting = this.#waiting.filter((other) => other !== waiter);
      // Admitted and aborted in one moment: what was taken goes back; what was not may let others in.
      this.#give(still ? 0 : amount);
      throw error;
    }
  }

  #give(amount: number): void {
    this.#free += amount;
    for (let next = this.#waiting[0]; next && next.amount <= this.#free; next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#free -= next.amount;
      next.admit();
    }
  }
}
