/**
 * Reads of ledgers for all who watch them: who wants the same at the same time shares one query, and
 * its answer is encoded once.
 *
 * Why nobody misses anything by it: a watch begins to listen before it asks, and is given what was
 * read after it asked (`shared_calls.ts`). What was durable before that reading is in it; of what
 * became durable since, by whatever instance, the watch hears, and reads it by itself. That is the
 * same as if it had read alone.
 */

import { Encoded } from "../protocol/encode.ts";
import { encodeNotification } from "../protocol/frames.ts";
import type { Changes } from "../protocol/model.ts";
import {
  type LedgerReader,
  readAfter,
  readFrom,
  readHeads,
  type ReadOptions,
  type Stretch,
} from "./changes.ts";
import { SharedCalls, type SharedCallsOptions } from "./shared_calls.ts";
import type { LedgerId, LogBounds } from "./stores/meta_store.ts";

/** A stretch that several are sent. It lives as long as one of them holds it. */
export class SharedStretch implements Stretch {
  readonly changes: Changes;
  readonly seq: number;
  /** What it is in a reply. */
  readonly answer: Encoded<Changes>;
  readonly #ledger: LedgerId;
  #notice: Uint8Array | undefined;

  constructor(ledger: LedgerId, { changes, seq }: Stretch) {
    this.#ledger = ledger;
    this.changes = changes;
    this.seq = seq;
    this.answer = new Encoded(changes);
  }

  /** What it is as a notification: one for all who are sent it. */
  get notice(): Uint8Array {
    return this.#notice ??= encodeNotification("metas", { ledger: this.#ledger, ...this.changes });
  }
}

/**
 * The shared reads of one instance. It holds what somebody waits for and no more; each connection
 * waits for one answer and one stretch at most.
 */
export class SharedReads {
  readonly #store: LedgerReader;
  readonly #stretches: SharedCalls<SharedStretch>;
  readonly #bounds: SharedCalls<LogBounds | undefined>;

  constructor(store: LedgerReader, options?: SharedCallsOptions) {
    this.#store = store;
    this.#stretches = new SharedCalls(options);
    this.#bounds = new SharedCalls(options);
  }

  /**
   * Reads what follows a cursor.
   *
   * @throws {HearthError} `CURSOR_INVALID` when the cursor is none of this history
   */
  from(ledger: LedgerId, options: ReadOptions): Promise<SharedStretch> {
    const { cursor, inventory } = options;
    return this.#read(
      ledger,
      `from ${cursor ?? ""} ${inventory}`,
      () => readFrom(this.#store, ledger, options),
    );
  }

  /** Reads what follows a position; the heads without one. */
  after(ledger: LedgerId, after: number | undefined): Promise<SharedStretch> {
    return this.#read(
      ledger,
      `after ${after ?? ""}`,
      () =>
        after === undefined
          ? readHeads(this.#store, ledger, false)
          : readAfter(this.#store, ledger, after),
    );
  }

  /** The bounds of a ledger; nothing when it does not exist. */
  bounds(ledger: LedgerId): Promise<LogBounds | undefined> {
    return this.#bounds.share(ledger, () => this.#store.bounds(ledger));
  }

  #read(
    ledger: LedgerId,
    what: string,
    read: () => Promise<Stretch>,
  ): Promise<SharedStretch> {
    return this.#stretches.share(
      JSON.stringify([ledger, what]),
      async () => new SharedStretch(ledger, await read()),
    );
  }
}
