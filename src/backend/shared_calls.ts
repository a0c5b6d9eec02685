/**
 * Calls that are wanted at the same time by many are made once: two thousand clients that come back
 * together cost as much as two.
 *
 * Who comes shares a call that is still to begin, never one that has begun. So each is given what
 * was read after it asked, as if it had asked alone: what was acknowledged before, on this instance
 * or another, is in it.
 */

import { setImmediate } from "node:timers";
import { type Clock, pause, systemClock } from "../base/clock.ts";

/** Options of {@linkcode SharedCalls}. */
export interface SharedCallsOptions {
  /** @default the machine's */
  readonly clock?: Clock | undefined;
  /** Runs something at the end of this turn of the loop. @default setImmediate */
  readonly defer?: ((run: () => void) => void) | undefined;
}

/** How long a call that has begun holds up the next of its key: it may hang, and others need not. */
const maxHoldMs = 1_000;
/**
 * How many are given a result in one turn of the loop. What they do with it, which is to send it,
 * holds up everybody else.
 */
const maxGivenAtOnce = 64;

type Waiter<T> = PromiseWithResolvers<T>;

/** Calls by key. It holds a key as long as somebody waits for it: their callers bound how many. */
export class SharedCalls<T> {
  readonly #clock: Clock;
  readonly #defer: (run: () => void) => void;
  /** Who waits for a call that is still to begin. */
  readonly #waiting = new Map<string, Waiter<T>[]>();

  constructor(
    { clock = systemClock, defer = (run) => void setImmediate(run) }: SharedCallsOptions = {},
  ) {
    this.#clock = clock;
    this.#defer = defer;
  }

  /**
   * Resolves with what a call gives that begins after this one here. When it fails, all who share it
   * get its error.
   *
   * @param call the same whoever wants this key
   */
  share(key: string, call: () => Promise<T>): Promise<T> {
    const waiter = Promise.withResolvers<T>();
    const waiting = this.#waiting.get(key);
    if (waiting) waiting.push(waiter);
    else {
      this.#waiting.set(key, [waiter]);
      void this.#serve(key, call);
    }
    return waiter.promise;
  }

  /** Makes one call after another, as long as somebody waits. Never rejects. */
  async #serve(key: string, call: () => Promise<T>): Promise<void> {
    for (;;) {
      // What this turn of the loop has yet to read may want the same.
      await this.#nextTurn();
      const waiters = this.#waiting.get(key) ?? [];
      if (waiters.length === 0) return void this.#waiting.delete(key);
      this.#waiting.set(key, []);
      const ended = new AbortController();
      const given = this.#give(waiters, call).finally(() => ended.abort());
      await Promise.race([given, pause(this.#clock, maxHoldMs, ended.signal)]);
    }
  }

  async #give(waiters: readonly Waiter<T>[], call: () => Promise<T>): Promise<void> {
    const settle = await Promise.try(call).then(
      (result) => (waiter: Waiter<T>) => waiter.resolve(result),
      (error: unknown) => (waiter: Waiter<T>) => waiter.reject(error),
    );
    for (let at = 0; at < waiters.length; at += maxGivenAtOnce) {
      if (at > 0) await this.#nextTurn();
      waiters.slice(at, at + maxGivenAtOnce).forEach(settle);
    }
  }

  #nextTurn(): Promise<void> {
    return new Promise((resolve) => this.#defer(resolve));
  }
}
