/** A map that holds so many entries, those that were set last. */

/** Setting an entry, also anew, makes it the last to go. */
export class RecentMap<V> {
  readonly #max: number;
  readonly #entries = new Map<string, V>();

  /** @param max how many it holds; the entry that was set before all others goes first */
  constructor(max: number) {
    this.#max = max;
  }

  get(name: string): V | undefined {
    return this.#entries.get(name);
  }

  set(name: string, value: V): void {
    this.#entries.delete(name);
    this.#entries.set(name, value);
    const [oldest] = this.#entries.keys();
    if (this.#entries.size > this.#max && oldest !== undefined) this.#entries.delete(oldest);
  }

  delete(name: string): void {
    this.#entries.delete(name);
  }

  clear(): void {
    this.#entries.clear();
  }
}
