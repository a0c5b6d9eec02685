/** What was found out about tokens that are good, so that it need not be found out at every call. */

import { hash } from "node:crypto";

/**
 * Remembers something about tokens. It keeps digests of their whole text: they are secrets, and how
 * long it takes to find one must tell nothing about others.
 */
export class CheckedTokens<T> {
  readonly #maxLength: number;
  /** By digest; the one that was used last comes last. */
  readonly #entries = new Map<string, { readonly length: number; readonly found: T }>();
  #length = 0;

  /**
   * @param maxLength characters of all tokens together, by which what is kept of them is bounded too;
   * those that were not used for the longest time go first
   */
  constructor(maxLength = 2 << 20) {
    this.#maxLength = maxLength;
  }

  /** How many are remembered. */
  get size(): number {
    return this.#entries.size;
  }

  find(token: string): T | undefined {
    const digest = digestOf(token);
    const entry = this.#entries.get(digest);
    if (!entry) return undefined;
    this.#entries.delete(digest);
    this.#entries.set(digest, entry);
    return entry.found;
  }

  add(token: string, found: T): void {
    const digest = digestOf(token);
    this.#forget(digest);
    this.#entries.set(digest, { length: token.length, found });
    this.#length += token.length;
    for (const digest of this.#entries.keys()) {
      if (this.#length <= this.#maxLength) break;
      this.#forget(digest);
    }
  }

  #forget(digest: string): void {
    this.#length -= this.#entries.get(digest)?.length ?? 0;
    this.#entries.delete(digest);
  }
}

function digestOf(token: string): string {
  return hash("sha256", token, "base64url");
}
