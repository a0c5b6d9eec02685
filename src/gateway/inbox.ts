/**
 * Brings remote commits into the database: watches the ledger, fetches every blob that a head needs as
 * it is announced, and merges what has come, one stretch at a time.
 */

import type { ActiveStore, DbMetaEvent, FPEnvelopeMeta } from "@fireproof/core-types-blockstore";
import { systemClock } from "../base/clock.ts";
import type { Logger, Watch } from "../client/client.ts";
import { HearthError } from "../protocol/errors.ts";
import type { BlobRef, Changes, Meta } from "../protocol/model.ts";
import { headOf } from "./clock.ts";
import { Crossings } from "./crossings.ts";
import { Fetcher, type FetcherDeps } from "./fetcher.ts";
import { importKeys } from "./keys.ts";
import type { Knowledge } from "./knowledge.ts";
import { Merger } from "./merger.ts";
import { toHearthError } from "./values.ts";

/** Most heads kept for another try; beyond it the oldest is given up, and logged. */
const maxStuck = 1000;
/** Metas that may wait to be merged before no more are taken. */
const maxWaiting = 1000;
/** First and longest pause before heads that could not be loaded are tried again. */
const retryPauseMs = { first: 1_000, most: 60_000 };

/** What the inbox needs. */
export interface InboxDeps extends FetcherDeps {
  readonly knowledge: Knowledge;
  readonly onChange: () => void;
  /** The database has content that no commit of this device holds yet. */
  readonly onMerged: () => void;
  /** Cars whose content the database has in others: its next write covers what named them. */
  readonly onCompacted: (cars: readonly string[]) => void;
  readonly logger: Logger;
}

/** Fireproof's own listener to remote metas. */
export type MetaListener = (meta: FPEnvelopeMeta) => Promise<void>;

/** The remote commits of one ledger, on their way into one database. */
export class Inbox {
  /** Settles when the heads have been merged once, or never will be. */
  readonly caughtUp: Promise<void>;
  readonly #deps: InboxDeps;
  readonly #fetcher: Fetcher;
  readonly #merger: Merger;
  readonly #crossings = new Crossings(systemClock);
  /** Metas whose blobs have come, to be merged. */
  readonly #waiting = new Map<string, Meta>();
  readonly #stuck = new Map<string, { readonly meta: Meta; readonly reason: HearthError }>();
  #listener: MetaListener | undefined;
  #watch: Watch | undefined;
  #live = false;
  /** The last stretch to have come ended with all there was. */
  #isWhole = false;
  #hasCaughtUp = false;
  #refusal: HearthError | undefined;
  #settleCaughtUp: () => void = () => {};
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #retryPauseMs = retryPauseMs.first;
  #receiving: Promise<void> | undefined;
  #merging: Promise<void> | undefined;

  /** @param store the remote store, whose cars come from {@linkcode Inbox.readCar} */
  constructor(deps: InboxDeps, store: ActiveStore) {
    this.#deps = deps;
    const { loader, knowledge, onMerged } = deps;
    const fetcher = this.#fetcher = new Fetcher(deps, store);
    this.#merger = new Merger({
      loader,
      knowledge,
      fetcher,
      store,
      onMerged: (before, after) => {
        this.#crossings.merged(before, after);
        onMerged();
      },
    });
    this.caughtUp = new Promise((resolve) => this.#settleCaughtUp = resolve);
  }

  /** Starts watching. */
  open(listener: MetaListener): void {
    this.#listener = listener;
    const { client, ledger, signal } = this.#deps;
    this.#watch = client.watch(ledger, {
      onChanges: (changes) => this.#receive(changes),
      onLive: (live) => {
        this.#live = live;
        this.#deps.onChange();
      },
      onError: (error) => {
        this.#refusal = error;
        this.#settleCaughtUp();
        this.#deps.onChange();
      },
    }, { inventory: true, signal });
    signal.addEventListener("abort", () => this.#close(), { once: true });
  }

  /** Whether the feed is live and everything that came by it is merged. */
  get upToDate(): boolean {
    return this.#live && this.#hasCaughtUp && !this.#receiving && !this.#merging;
  }

  /** Whether the feed was live before, and is not now. */
  get interrupted(): boolean {
    return this.#hasCaughtUp && !this.#live;
  }

  /** Why the server does not let this device read. */
  get refusal(): HearthError | undefined {
    return this.#refusal;
  }

  /** Why some head cannot be loaded, while that is so. */
  get stuck(): HearthError | undefined {
    return this.#stuck.values().next().value?.reason;
  }

  /** Settles when nothing is being merged: after the end, what had begun is finished or given up. */
  async idle(): Promise<void> {
    await this.#receiving;
    await this.#merging;
  }

  /** Tries again what could not be loaded. */
  retry(): void {
    clearTimeout(this.#retryTimer);
    if (this.#stuck.size > 0) this.#startMerging();
  }

  /** See {@linkcode Fetcher.read}. */
  readCar(cid: string): Promise<Uint8Array> {
    return this.#fetcher.read(cid);
  }

  #close(): void {
    clearTimeout(this.#retryTimer);
    this.#watch?.close();
    this.#listener = undefined;
    this.#settleCaughtUp();
  }

  /** Takes a stretch of changes; the next one comes when its blobs are here. */
  async #receive(changes: Changes): Promise<void> {
    this.#receiving = this.#take(changes).catch((error: unknown) => this.#report(error));
    await this.#receiving;
    this.#receiving = undefined;
    this.#startMerging();
    // The feed holds little of what is not taken, and asks for it again.
    if (this.#waiting.size >= maxWaiting) await this.#merging;
  }

  async #take(changes: Changes): Promise<void> {
    const { loader, client, knowledge } = this.#deps;
    const { metas, keys, blobs, inventory = [] } = changes;
    const stored = [...inventory, ...metas.flatMap((meta) => meta.blobs)];
    knowledge.enterEpoch(client.epoch);
    if (changes.reset) knowledge.heads.clear();
    await importKeys(loader, keys);
    knowledge.addKeys(keys);
    knowledge.addStored(stored);
    if (changes.reset) this.#deps.onCompacted(await this.#fetcher.noteCompacted());
    const cars = carsIn(stored).filter((cid) => !this.#fetcher.hasElsewhere(cid));
    // One that cannot be loaded counts when a head turns out to need it.
    await this.#fetcher.load(cars, blobs);
    for (const meta of metas) this.#waiting.set(meta.cid, meta);
    this.#isWhole = !changes.more;
  }

  #startMerging(): void {
    if (this.#deps.signal.aborted) return;
    this.#merging ??= this.#mergeAll().catch((error: unknown) => this.#report(error))
      .finally(() => {
        this.#merging = undefined;
        // More may have come since the last look.
        if (this.#waiting.size > 0) this.#startMerging();
        else this.#deps.onChange();
      });
    this.#deps.onChange();
  }

  #report(error: unknown): void {
    if (!this.#deps.signal.aborted) this.#deps.logger.error(`hearth: cannot merge: ${error}`);
  }

  async #mergeAll(): Promise<void> {
    const { loader, signal } = this.#deps;
    do {
      await this.#crossings.pause(headOf(loader).map(String), signal);
      await this.#merge();
    } while (this.#waiting.size > 0 && !signal.aborted);
    if (!this.#isWhole || this.#hasCaughtUp) return;
    this.#hasCaughtUp = true;
    this.#settleCaughtUp();
  }

  /** Merges what waits, and tries what was stuck; one that cannot be loaded holds up no other. */
  async #merge(): Promise<void> {
    const stuck = [...this.#stuck.values()].map(({ meta }) => meta);
    const metas = [
      ...new Map([...stuck, ...this.#waiting.values()].map((it) => [it.cid, it])).values(),
    ];
    this.#waiting.clear();
    await this.#fetcher.load(carsIn(stuck.flatMap((meta) => meta.blobs)));
    const merged: DbMetaEvent[] = [];
    const behind: Meta[] = [];
    // The blocks that one head lacks often come with the next.
    for (const meta of metas) {
      await this.#try(meta, async () => {
        if (await this.#merger.hasCompacted(meta)) return;
        const event = await this.#merger.merge(meta);
        if (event) merged.push(event);
        else behind.push(meta);
      });
    }
    const lost: Meta[] = [];
    for (const meta of behind) {
      await this.#try(meta, async () => {
        const event = await this.#merger.mergeFromBehind(meta);
        if (event) merged.push(event);
        else lost.push(meta);
      });
    }
    if (lost.length > 0) merged.push(...await this.#mergeFromAnywhere(lost));
    this.#scheduleRetry();
    // The merge is done: this only tells Fireproof which metas its next one follows.
    if (merged.length > 0) await this.#listener?.({ type: "meta", payload: merged });
  }

  /** The last resort: what it does not help waits for more to come. */
  async #mergeFromAnywhere(metas: readonly Meta[]): Promise<DbMetaEvent[]> {
    const merged: DbMetaEvent[] = [];
    try {
      const outcomes = await this.#merger.mergeFromAnywhere(metas);
      for (const [at, meta] of metas.entries()) {
        const outcome = outcomes[at];
        if (outcome instanceof HearthError) this.#setAside(meta, outcome);
        else if (outcome) merged.push(outcome);
      }
    } catch (cause) {
      if (this.#deps.signal.aborted) return merged;
      for (const meta of metas) this.#setAside(meta, cause);
    }
    return merged;
  }

  async #try(meta: Meta, merge: () => Promise<void>): Promise<void> {
    const { signal } = this.#deps;
    if (signal.aborted) return;
    try {
      await merge();
      this.#stuck.delete(meta.cid);
    } catch (cause) {
      if (!signal.aborted) this.#setAside(meta, cause);
    }
  }

  #setAside(meta: Meta, cause: unknown): void {
    const reason = toHearthError(cause, `Cannot merge meta ${meta.cid}`);
    this.#deps.logger.warn(`hearth: ${reason.code} ${reason.message}`);
    const [oldest] = this.#stuck.keys();
    if (this.#stuck.size >= maxStuck && oldest !== undefined) this.#stuck.delete(oldest);
    this.#stuck.set(meta.cid, { meta, reason });
  }

  #scheduleRetry(): void {
    clearTimeout(this.#retryTimer);
    if (this.#stuck.size === 0) {
      this.#retryPauseMs = retryPauseMs.first;
      return;
    }
    this.#retryTimer = setTimeout(() => this.retry(), this.#retryPauseMs);
    this.#retryPauseMs = Math.min(2 * this.#retryPauseMs, retryPauseMs.most);
  }
}

function carsIn(refs: readonly BlobRef[]): string[] {
  return refs.filter(({ store }) => store === "car").map(({ cid }) => cid);
}
