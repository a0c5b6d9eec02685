/** Work on one key, one after the other; work on different keys side by side. */

/** The turns at each key. Bounded by the callers, who each wait in one. */
export class KeyTurns {
  readonly #last = new Map<string, Promise<void>>();

  /** Does the work when all work on the key that came before has ended, whatever came of it. */
  async run<T>(key: string, work: (waited: boolean) => Promise<T>): Promise<T> {
    const before = this.#last.get(key);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last.set(key, promise);
    try {
      await before;
      return await work(before !== undefined);
    } finally {
      resolve();
      if (this.#last.get(key) === promise) this.#last.delete(key);
    }
  }
}
