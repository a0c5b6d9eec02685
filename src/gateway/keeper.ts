/**
 * Keeps merged content on the device. Fireproof 0.24 stores the cars of a remote commit, and notes
 * that it has merged them only with its own next commit: a device that reads, and starts again
 * offline, would show what it had written last.
 */

import { isNotFoundError } from "@fireproof/core";
import type { AnyLink, Loadable } from "@fireproof/core-types-blockstore";
import type { Logger } from "../client/client.ts";
import { betweenWrites } from "./compaction.ts";
import { type Block, type Crdt, observingReads } from "./reads.ts";

/** How long merged content is in memory alone, when merges are rare. */
const keepAfterMs = 3_000;
/** And when they are not: each commit lengthens Fireproof's log, which it compacts beyond 100. */
const keepEveryMs = 30_000;
/** A commit of the app's own that is this close behind a merge may not hold it yet. */
const overlapMs = 1_000;

/** What the keeper needs. */
export interface KeeperDeps {
  readonly loader: Loadable;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** Commits the merged state of one database to its local store, now and then. */
export class Keeper {
  readonly #deps: KeeperDeps;
  #mergedAt: number | undefined;
  #keptAt = -Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(deps: KeeperDeps) {
    this.#deps = deps;
    deps.signal.addEventListener("abort", () => clearTimeout(this.#timer), { once: true });
  }

  /** Notes that the database holds more than its local store says. */
  merged(): void {
    const now = this.#mergedAt = Date.now();
    const waitMs = Math.max(keepAfterMs, this.#keptAt + keepEveryMs - now);
    this.#timer ??= setTimeout(() => void this.keep(), waitMs);
  }

  /** Notes a commit of the database, which holds what was merged before. */
  written(): void {
    if (this.#mergedAt !== undefined && Date.now() - this.#mergedAt > overlapMs) this.#forget();
  }

  /** Commits what is in memory alone, if there is anything. */
  async keep(): Promise<void> {
    const { loader, logger, signal } = this.#deps;
    const crdt = loader.blockstoreParent?.crdtParent;
    if (this.#mergedAt === undefined || !crdt || signal.aborted) return;
    this.#forget();
    this.#keptAt = Date.now();
    try {
      // A write under way would be in the log and not yet in the head, which this commit would hide.
      await betweenWrites(loader, async () => {
        const options = { add: false, noLoader: false };
        const transaction = crdt.blockstore.openTransaction(options);
        for (const block of await blocksBehind(loader, crdt)) transaction.putSync(block);
        await crdt.blockstore.commitTransaction(transaction, { head: crdt.clock.head }, options);
      });
    } catch (error) {
      // The content is on the server and comes again with the next attach: only this start is poorer.
      logger.warn(`hearth: cannot keep what was merged: ${error}`);
    }
  }

  #forget(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#mergedAt = undefined;
  }
}

/**
 * The blocks from which a state of several events is computed. They may be in cars that a compaction
 * has declared superfluous, since it looks back no further than to the events of its own time.
 */
async function blocksBehind(loader: Loadable, crdt: Crdt): Promise<Block[]> {
  const events = new Set(crdt.clock.head.map(String));
  if (events.size < 2) return [];
  const read = new Map<string, Block>();
  const note = (cid: AnyLink, block: Block | undefined) => {
    if (block) read.set(`${cid}`, block);
  };
  // Looking up anything computes the state; this is the name of no document.
  await observingReads(loader, note, () =>
    crdt.get(crypto.randomUUID()).catch((error: unknown) => {
      if (!isNotFoundError(error)) throw error;
    }));
  return [...read].filter(([cid]) => !events.has(cid)).map(([, block]) => block);
}
