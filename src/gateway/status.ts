/** What an app is told about its sync: one value, and who wants to hear when it changes. */

import type { HearthError } from "../protocol/errors.ts";

/** The state of a database's sync. */
export interface Status {
  /**
   * - `synced`: everything here is on the server, everything there is here;
   * - `syncing`: on the way, in one direction or both;
   * - `offline`: the server cannot be reached; the next attempt comes by itself;
   * - `stale`: something on the server could not be loaded, or the live feed is being mended;
   * - `denied`: the server refuses the token, or a right is missing;
   * - `closed`: not attached.
   */
  readonly state: "synced" | "syncing" | "offline" | "stale" | "denied" | "closed";
  /** Local commits that the server has not acknowledged. */
  readonly pending: number;
  /** When `state` was entered, epoch ms. */
  readonly since: number;
  /** Why, where there is a reason. */
  readonly error?: HearthError | undefined;
}

/** Holds the status and tells listeners of each change. */
export class StatusHolder {
  #status: Status;
  readonly #now: () => number;
  readonly #listeners = new Set<(status: Status) => void>();

  constructor(now: () => number) {
    this.#now = now;
    this.#status = { state: "closed", pending: 0, since: now() };
  }

  get value(): Status {
    return this.#status;
  }

  update({ state, pending, error }: Omit<Status, "since">): void {
    const last = this.#status;
    if (last.state === state && last.pending === pending && last.error === error) return;
    const since = last.state === state ? last.since : this.#now();
    this.#status = { state, pending, since, ...(error && { error }) };
    for (const listener of [...this.#listeners]) listener(this.#status);
  }

  listen(listener: (status: Status) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
