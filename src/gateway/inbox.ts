/**
 * Brings remote commits into the database: fetches and checks every blob that a head needs, loads it,
 * and only then lets the database merge, since it never tries a second time by itself.
 */

import type {
  ActiveStore,
  AnyLink,
  DbMetaEvent,
  FPEnvelopeMeta,
  Loadable,
} from "@fireproof/core-types-blockstore";
import { CID } from "multiformats/cid";
import type { Client, Logger, Watch } from "../client/client.ts";
import { HearthError } from "../protocol/errors.ts";
import type { BlobAnswer, BlobRef, Changes, Meta } from "../protocol/model.ts";
import { loadIfStored, openCar, type OpenedCar, verifyBytes } from "./cars.ts";
import { announceFirst, hasMerged, headOf } from "./clock.ts";
import { betweenCompactions } from "./compaction.ts";
import { importKeys } from "./keys.ts";
import type { Knowledge } from "./knowledge.ts";
import { loadCar } from "./loading.ts";
import { toEvent } from "./metas.ts";

/** Most heads kept for another try; beyond it the oldest is given up, and logged. */
const maxStuck = 1000;
/** Most loaded cars remembered; beyond it all are forgotten, and some may be fetched again. */
const maxLoaded = 20_000;
/** First and longest pause before heads that could not be loaded are tried again. */
const retryPauseMs = { first: 1_000, most: 60_000 };

/** What the inbox needs. */
export interface InboxDeps {
  readonly ledger: string;
  readonly loader: Loadable;
  readonly client: Client;
  readonly knowledge: Knowledge;
  readonly onChange: () => void;
  /** The database has content that no commit of this device holds yet. */
  readonly onMerged: () => void;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** Fireproof's own listener to remote metas. */
export type MetaListener = (meta: FPEnvelopeMeta) => Promise<void>;

/** Watches the ledger and merges what comes, in order, one stretch at a time. */
export class Inbox {
  /** Settles when the heads have been merged once, or never will be. */
  readonly caughtUp: Promise<void>;
  readonly #deps: InboxDeps;
  readonly #store: ActiveStore;
  /** Cars handed to the database, which may not have merged them yet. */
  readonly #loaded = new Set<string>();
  /** Checked bytes on their way into the database, by CID; emptied as it loads them. */
  readonly #arrived = new Map<string, Uint8Array>();
  readonly #stuck = new Map<string, { readonly meta: Meta; readonly reason: HearthError }>();
  #listener: MetaListener | undefined;
  #watch: Watch | undefined;
  #live = false;
  #hasCaughtUp = false;
  #turns = 0;
  #refusal: HearthError | undefined;
  #settleCaughtUp: () => void = () => {};
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #retryPauseMs = retryPauseMs.first;
  /** Work under way: stretches and second tries take turns. */
  #turn: Promise<void> = Promise.resolve();

  /** @param store the remote store, whose cars come from {@linkcode Inbox.loadCar} */
  constructor(deps: InboxDeps, store: ActiveStore) {
    this.#deps = deps;
    this.#store = store;
    this.caughtUp = new Promise((resolve) => this.#settleCaughtUp = resolve);
  }

  /** Starts watching. */
  open(listener: MetaListener): void {
    this.#listener = listener;
    const { client, ledger, signal } = this.#deps;
    this.#watch = client.watch(ledger, {
      onChanges: (changes) => this.#inTurn(() => this.#receive(changes)),
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
    return this.#live && this.#hasCaughtUp && this.#turns === 0;
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
  get idle(): Promise<void> {
    return this.#turn;
  }

  /** Tries again what could not be loaded. */
  retry(): void {
    clearTimeout(this.#retryTimer);
    if (this.#stuck.size > 0) void this.#inTurn(() => this.#merge([], [], []));
  }

  /**
   * The bytes of a car for Fireproof's loader: normally those that were fetched and checked ahead,
   * else the device's own, else the server's.
   *
   * @throws {HearthError} `NOT_FOUND` when the ledger does not hold it
   */
  async loadCar(cid: string): Promise<Uint8Array> {
    const ahead = this.#arrived.get(cid);
    if (ahead) return ahead;
    const { client, ledger, loader, signal } = this.#deps;
    const link = CID.parse(cid);
    const local = loader.attachedStores.local().active.car;
    let found = await loadIfStored(local.load.bind(local), link);
    if (found) return found;
    await client.getBlobs(ledger, [{ store: "car", cid }], async ({ bytes }) => {
      await verifyBytes(link, bytes, this.#store.active.car);
      found = bytes;
    }, { signal });
    if (found) return found;
    throw new HearthError("NOT_FOUND", `Cannot load car ${cid}: "${ledger}" does not hold it`);
  }

  #close(): void {
    clearTimeout(this.#retryTimer);
    this.#watch?.close();
    this.#listener = undefined;
    this.#settleCaughtUp();
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    this.#turns++;
    this.#turn = this.#turn.then(work).catch((error: unknown) => {
      if (!this.#deps.signal.aborted) this.#deps.logger.error(`hearth: cannot merge: ${error}`);
    }).finally(() => {
      this.#turns--;
      this.#deps.onChange();
    });
    return this.#turn;
  }

  async #receive(changes: Changes): Promise<void> {
    const { loader, client, knowledge } = this.#deps;
    knowledge.enterEpoch(client.epoch);
    if (changes.reset) knowledge.heads.clear();
    await importKeys(loader, changes.keys);
    knowledge.addKeys(changes.keys);
    knowledge.addStored(changes.inventory ?? []);
    knowledge.addStored(changes.metas.flatMap((meta) => meta.blobs));
    await this.#merge(changes.metas, changes.inventory ?? [], changes.blobs);
    if (changes.more) return;
    this.#hasCaughtUp = true;
    this.#settleCaughtUp();
  }

  /** Loads and merges metas, and those that were stuck; one that cannot be loaded holds up no other. */
  async #merge(
    metas: readonly Meta[],
    ahead: readonly BlobRef[],
    inline: readonly BlobAnswer[],
  ): Promise<void> {
    const candidates = new Map([...this.#stuck.values()].map(({ meta }) => [meta.cid, meta]));
    for (const meta of metas) candidates.set(meta.cid, meta);
    const refs = [...ahead, ...[...candidates.values()].flatMap((meta) => meta.blobs)];
    const cars = refs.filter(({ store }) => store === "car").map(({ cid }) => cid);
    await this.#load(cars, inline);
    const merged: DbMetaEvent[] = [];
    for (const meta of candidates.values()) {
      if (this.#deps.signal.aborted) return;
      try {
        merged.push(await this.#mergeOne(meta));
        this.#stuck.delete(meta.cid);
      } catch (cause) {
        if (this.#deps.signal.aborted) return;
        this.#setAside(meta, cause);
      }
    }
    this.#scheduleRetry();
    // The merge is done: this only tells Fireproof which metas its next one follows.
    if (merged.length > 0) await this.#listener?.({ type: "meta", payload: merged });
  }

  async #mergeOne(meta: Meta): Promise<DbMetaEvent> {
    const { loader, knowledge } = this.#deps;
    const event = await toEvent(loader.sthis, meta);
    const { cars } = event.dbMeta;
    const [head] = cars;
    if (!head) throw new HearthError("BAD_PARAMS", `Cannot use meta ${meta.cid}: it names no car`);
    // Every car of a commit beyond 1 MB: the database itself would load the first alone.
    await this.#require(cars);
    const isOwn = this.#loadedByDatabase().has(`${head}`);
    const opened = await openCar(
      loader,
      head,
      isOwn ? loader.attachedStores.local() : this.#store,
    );
    await this.#require(opened.needs);
    knowledge.heads.set(meta.cid, { cars: cars.map((car) => `${car}`), events: opened.head });
    knowledge.addStored(opened.needs.map((car): BlobRef => ({ store: "car", cid: `${car}` })));
    await betweenCompactions(loader, () => this.#apply(event, opened));
    return event;
  }

  async #apply(event: DbMetaEvent, { head, meta, compacts }: OpenedCar): Promise<void> {
    const { loader } = this.#deps;
    const before = headOf(loader).map(String);
    await loader.handleDbMetasFromStore([event.dbMeta], this.#store);
    if (!await hasMerged(loader, head)) {
      // A writer without a whole compaction left blocks in cars that it calls compacted.
      await this.#load(compacts.map((car) => `${car}`));
      await loader.ebOpts.applyMeta(meta);
      if (!await hasMerged(loader, head)) {
        throw new HearthError(
          "NOT_FOUND",
          `Cannot merge meta ${event.eventCid}: blocks are missing`,
        );
      }
    }
    if (`${headOf(loader)}` === `${before}`) return;
    this.#deps.onMerged();
    if (before.length === 0) await announceFirst(loader);
  }

  async #require(links: readonly AnyLink[]): Promise<void> {
    const failed = await this.#load(links.map((link) => `${link}`));
    for (const reason of failed.values()) throw reason;
  }

  /**
   * Loads cars that the database lacks, in one question to the server, each as soon as it is here:
   * no more than what is in flight stays in memory. Returns those that failed, with the reason.
   */
  async #load(
    cids: readonly string[],
    inline: readonly BlobAnswer[] = [],
  ): Promise<Map<string, HearthError>> {
    const { client, ledger, signal } = this.#deps;
    const here = this.#loadedByDatabase();
    const lacking = new Set(cids.filter((cid) => !here.has(cid) && !this.#loaded.has(cid)));
    const failed = new Map<string, HearthError>();
    const take = async (cid: string, bytes: Uint8Array) => {
      try {
        await this.#hand(cid, bytes);
      } catch (cause) {
        failed.set(cid, toHearthError(cause, `Cannot load car ${cid}`));
      }
      lacking.delete(cid);
    };
    for (const { cid, bytes } of inline) if (bytes && lacking.has(cid)) await take(cid, bytes);
    if (lacking.size > 0) {
      const refs = [...lacking].map((cid): BlobRef => ({ store: "car", cid }));
      try {
        await client.getBlobs(ledger, refs, ({ cid, bytes }) => take(cid, bytes), { signal });
      } catch (cause) {
        if (signal.aborted) throw cause;
        for (const cid of lacking) failed.set(cid, toHearthError(cause, `Cannot load car ${cid}`));
        return failed;
      }
    }
    for (const cid of lacking) {
      const message = `Cannot load car ${cid}: "${ledger}" does not hold it`;
      failed.set(cid, new HearthError("NOT_FOUND", message));
    }
    return failed;
  }

  /** Checks a car and lets the database load it, which keeps it in the local store. */
  async #hand(cid: string, bytes: Uint8Array): Promise<void> {
    const link = CID.parse(cid);
    await verifyBytes(link, bytes, this.#store.active.car);
    this.#deps.signal.throwIfAborted();
    this.#arrived.set(cid, bytes);
    try {
      await loadCar(this.#deps.loader, link, this.#store);
    } finally {
      this.#arrived.delete(cid);
    }
    if (this.#loaded.size >= maxLoaded) this.#loaded.clear();
    this.#loaded.add(cid);
  }

  #loadedByDatabase(): Set<string> {
    return new Set(this.#deps.loader.carLog.asArray().flat().map((car) => `${car}`));
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

function toHearthError(cause: unknown, attempted: string): HearthError {
  if (cause instanceof HearthError) return cause;
  // Fireproof also throws what is no error and says nothing as text.
  const found = cause instanceof Error ? cause.message : "the database gave no reason";
  return new HearthError("INTERNAL", `${attempted}: ${found}`, { cause });
}
