/** Work that may overlap with its like, and work that overlaps with none. */

/** Takes turns on one database. */
export class Turns {
  #together = 0;
  #alone: Promise<void> | undefined;
  readonly #idle = new Set<() => void>();

  /** Waits only for what runs alone now, never for what waits to: that may take long. */
  async together<T>(work: () => Promise<T>): Promise<T> {
    while (this.#alone) await this.#alone;
    this.#together++;
    try {
      return await work();
    } finally {
      if (--this.#together === 0) {
        for (const wake of this.#idle) wake();
        this.#idle.clear();
      }
    }
  }

  /** Waits for the first moment at which nothing else runs. */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    while (this.#alone || this.#together > 0) {
      await (this.#alone ?? new Promise<void>((resolve) => this.#idle.add(resolve)));
    }
    const ended = Promise.withResolvers<void>();
    this.#alone = ended.promise;
    try {
      return await work();
    } finally {
      this.#alone = undefined;
      ended.resolve();
    }
  }
}
