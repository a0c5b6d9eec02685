/** The connections of a server, and one timer for all of them: each is looked at once a second. */

import type { Clock } from "../base/clock.ts";

/** What is looked at. */
export interface Connection {
  /** Is called every {@linkcode roundMs}. Must not throw. */
  look(): void;
}

/** How long it takes to look at all. */
export const roundMs = 1_000;
/** It goes in so many steps, so that what is asked of all is not asked of all at once. */
const steps = 10;

/** A set of connections. Its timer runs while there is one. */
export class Connections<C extends Connection> {
  readonly #clock: Clock;
  readonly #groups: readonly Set<C>[] = Array.from({ length: steps }, () => new Set());
  #size = 0;
  #added = 0;
  #step = 0;
  #cancel = (): void => {};

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How many there are. */
  get size(): number {
    return this.#size;
  }

  /** Looks at one from now on. */
  add(connection: C): void {
    this.#groups[this.#added++ % steps]?.add(connection);
    if (this.#size++ === 0) this.#wait();
  }

  /** The connection is gone. */
  delete(connection: C): void {
    if (!this.#groups.some((group) => group.delete(connection))) return;
    if (--this.#size === 0) this.#cancel();
  }

  *[Symbol.iterator](): Generator<C, void> {
    for (const group of this.#groups) yield* group;
  }

  #wait(): void {
    this.#cancel = this.#clock.after(roundMs / steps, () => {
      this.#wait();
      for (const connection of this.#groups[this.#step++ % steps] ?? []) connection.look();
    });
  }
}
