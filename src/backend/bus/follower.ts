/**
 * What makes hints safe: turns them, whatever the bus did to them, into what watchers are told. What
 * this instance itself has committed it tells from memory, where that is all there is to tell.
 *
 * Why no watcher misses, doubles or reorders anything:
 *
 * 1. A watch knows its position. It sends a live stretch on only when that follows its position, or
 *    is a reset beyond it; from anything else it learns no more than how far the ledger goes, and
 *    reads what it lacks by itself (`watch.ts`). So whatever is announced here, late, twice or out
 *    of order, can make it read, but never send a wrong thing. What remains to be shown is that
 *    each head gets announced.
 * 2. `told` of a ledger is a head that all listeners of that time have been announced, and that was
 *    read from the database or committed here, never taken from a hint. Who listens later began to
 *    listen before its own first read, so that it either reads that far or is announced what comes.
 * 3. A head above `told` becomes known by a hint, of this instance or another; or, when the bus
 *    lost it, by the look at all heads: after a gap, and every half minute at the latest. A read
 *    that fails is repeated.
 * 4. Keys that came alone lie in the log before the next meta, and are told with it at the latest:
 *    also those of another instance whose hint was lost. When their hint arrives, they are told at
 *    once.
 * 5. A commit of this instance is told from memory only when it follows `told`, its count of keys and
 *    blobs follows `items`, and the ledger is not being read: then nothing came in between, neither
 *    metas nor keys alone, whose key would count. Any other commit is a hint, and the log is read.
 *    `items` is never more than all listeners who stand at `told` have: what a page of the log counts
 *    holds no key beyond its last meta (`LogPage.items`), and a key that came alone and is told from
 *    memory reaches all who listen, wherever they stand (`watch.ts` reads the heads for it).
 */

import { type Clock, systemClock } from "../../base/clock.ts";
import { type LedgerReader, readAfter, type Stretch } from "../changes.ts";
import { type Hub, toRide } from "../hub.ts";
import { errorFields, type Log, silentLog } from "../log.ts";
import type { Commit, Done, LedgerId, MetaStore } from "../stores/meta_store.ts";
import type { BusListener, BusTold, Hint } from "./bus.ts";

/** What a {@linkcode Follower} works with. */
export interface FollowerDeps {
  readonly hub: Hub;
  readonly store: LedgerReader & Pick<MetaStore, "boundsOf" | "findBlobs">;
  /** Longest pause between two looks at the heads of all watched ledgers. @default 30000 */
  readonly pollMs?: number | undefined;
  /** Most ledgers read at once. @default 4 */
  readonly maxReads?: number | undefined;
  /** @default nothing is logged */
  readonly log?: Log | undefined;
  /** @default the machine's */
  readonly clock?: Clock | undefined;
  /** At least 0, below 1. @default Math.random */
  readonly random?: (() => number) | undefined;
}

/** Longest pause after a read that failed. */
const retryMs = 1_000;
/** Most ledgers of one look. */
const maxLedgersOfLook = 500;
/** Most blobs that are read to ride with a stretch. */
const maxRiders = 16;

/** What is known of a ledger that is watched here. */
interface Followed {
  /** How far all its listeners have been announced. */
  told: number;
  /** How many keys and blobs there had been by then; nothing where that is not known. */
  items: number | undefined;
  /** How far it goes by what hints say. */
  target: number;
  /** Whether keys came alone. */
  keys: boolean;
  /** Whether it is in the queue, being read, or waiting after a failure. */
  isBusy: boolean;
}

/** Follows the ledgers that are watched on this instance. */
export class Follower implements BusListener, AsyncDisposable {
  readonly #hub: Hub;
  readonly #deps: FollowerDeps;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #followed = new Map<LedgerId, Followed>();
  /** Ledgers to be read, each once; as many as are watched. One that has had its turn goes behind. */
  readonly #queue = new Set<LedgerId>();
  readonly #running = new Set<Promise<void>>();
  readonly #cancels = new Set<() => void>();
  #reads = 0;
  #look: Promise<void> | undefined;
  #lookAgain = false;
  #isClosed = false;

  constructor(deps: FollowerDeps) {
    this.#hub = deps.hub;
    this.#deps = deps;
    this.#clock = deps.clock ?? systemClock;
    this.#log = deps.log ?? silentLog;
    this.#poll();
  }

  onHints(hints: readonly Hint[]): void {
    if (this.#isClosed) return;
    for (const { ledger, seq, keys = false } of hints) {
      if (!this.#hub.has(ledger)) continue;
      const followed = this.#follow(ledger);
      followed.target = Math.max(followed.target, seq);
      followed.keys ||= keys;
      this.#enqueue(ledger, followed);
    }
    this.#pump();
  }

  /**
   * Tells the listeners what this instance has committed, when it follows what they were told last.
   * Called in the order of `seq` within a ledger.
   *
   * @returns whether they were told; else a hint is due
   */
  tell(commit: Commit, done: Done): boolean {
    if (this.#isClosed || !this.#hub.has(commit.ledger)) return false;
    const followed = this.#follow(commit.ledger);
    if (followed.isBusy || !follows(done, followed)) return false;
    this.#hub.publish(commit, done);
    followed.told = done.seq;
    followed.items = done.items;
    return true;
  }

  onTold({ ledger, from, body }: BusTold): void {
    this.#hub.tell(ledger, { from, body }, undefined);
  }

  onGap(): void {
    this.#lookAtAll();
  }

  /** Ends what is under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    for (const cancel of this.#cancels) cancel();
    this.#queue.clear();
    await Promise.all([...this.#running, this.#look]);
  }

  #follow(ledger: LedgerId): Followed {
    // At first nobody has been told of anything, which is all of an empty ledger.
    const followed = this.#followed.get(ledger) ??
      { told: 0, items: 0, target: 0, keys: false, isBusy: false };
    this.#followed.set(ledger, followed);
    return followed;
  }

  #enqueue(ledger: LedgerId, followed: Followed): void {
    if (followed.isBusy || (followed.target <= followed.told && !followed.keys)) return;
    followed.isBusy = true;
    this.#queue.add(ledger);
  }

  #pump(): void {
    const { maxReads = 4 } = this.#deps;
    for (const ledger of this.#queue) {
      if (this.#reads >= maxReads || this.#isClosed) return;
      this.#queue.delete(ledger);
      this.#reads++;
      const running = this.#take(ledger).finally(() => {
        this.#running.delete(running);
        this.#reads--;
        this.#pump();
      });
      this.#running.add(running);
    }
  }

  /** One turn of a ledger. Never rejects. */
  async #take(ledger: LedgerId): Promise<void> {
    const followed = this.#followed.get(ledger);
    if (!followed) return;
    if (!this.#hub.has(ledger)) return void this.#followed.delete(ledger);
    try {
      await this.#advance(ledger, followed);
      followed.isBusy = false;
      this.#enqueue(ledger, followed);
    } catch (error) {
      if (this.#isClosed) return;
      this.#log.warn("cannot follow a ledger", { ledger, ...errorFields(error) });
      this.#after(retryMs, () => {
        followed.isBusy = false;
        this.#enqueue(ledger, followed);
        this.#pump();
      });
    }
  }

  async #advance(ledger: LedgerId, followed: Followed): Promise<void> {
    if (followed.target > followed.told) return await this.#announce(ledger, followed);
    const { keys, seq } = await this.#deps.store.heads(ledger);
    followed.keys = false;
    // Also when metas have come meanwhile: who does not stand there reads the heads by itself.
    this.#hub.publishKeys(ledger, seq, keys);
  }

  async #announce(ledger: LedgerId, followed: Followed): Promise<void> {
    const { target } = followed;
    const lowest = this.#hub.lowestPosition(ledger);
    if (lowest === undefined) {
      // Nobody can take a stretch now: they all read by themselves, once they know how far.
      const head = (await this.#deps.store.bounds(ledger))?.head ?? 0;
      this.#hub.moved(ledger, head);
      return settle(followed, target, { seq: head });
    }
    const from = Math.max(followed.told, lowest);
    if (target <= from) {
      // There is a listener that has read as far: the head is no invention of the hint.
      this.#hub.moved(ledger, target);
      return settle(followed, target, { seq: target });
    }
    const stretch = await this.#read(ledger, from);
    const { seq, items, changes: { reset, more } } = stretch;
    if (seq > from) this.#hub.publishStretch(ledger, reset ? undefined : from, stretch);
    else this.#log.debug("a hint is beyond the log", { ledger, hint: target, seq });
    settle(followed, target, { seq, items, more });
  }

  async #read(ledger: LedgerId, from: number): Promise<Stretch> {
    const { store } = this.#deps;
    const stretch = await readAfter(store, ledger, from);
    if (stretch.changes.reset) return stretch;
    const refs = stretch.changes.metas.flatMap((meta) => meta.blobs).slice(0, maxRiders);
    const blobs = refs.length > 0 ? toRide(await store.findBlobs(ledger, refs)) : [];
    return { ...stretch, changes: { ...stretch.changes, blobs } };
  }

  #poll(): void {
    const { pollMs = 30_000 } = this.#deps;
    this.#after(pollMs, () => {
      this.#lookAtAll();
      this.#poll();
    });
  }

  /** Looks at the heads of all watched ledgers. */
  #lookAtAll(): void {
    if (this.#isClosed) return;
    this.#lookAgain = true;
    this.#look ??= this.#lookWhileAsked().finally(() => (this.#look = undefined));
  }

  async #lookWhileAsked(): Promise<void> {
    while (this.#lookAgain && !this.#isClosed) {
      this.#lookAgain = false;
      try {
        await this.#lookOnce();
      } catch (error) {
        if (this.#isClosed) return;
        this.#log.warn("cannot look at the heads", errorFields(error));
        return this.#after(retryMs, () => this.#lookAtAll());
      }
    }
  }

  async #lookOnce(): Promise<void> {
    for (const [ledger, { isBusy }] of this.#followed) {
      if (!isBusy && !this.#hub.has(ledger)) this.#followed.delete(ledger);
    }
    const ledgers = this.#hub.ledgers();
    for (let at = 0; at < ledgers.length; at += maxLedgersOfLook) {
      const bounds = await this.#deps.store.boundsOf(ledgers.slice(at, at + maxLedgersOfLook));
      this.onHints([...bounds].map(([ledger, { head }]) => ({ ledger, seq: head })));
    }
  }

  /** Calls back after this time less up to a half by chance: instances need not act at once. */
  #after(ms: number, callback: () => void): void {
    if (this.#isClosed) return;
    const { random = Math.random } = this.#deps;
    const cancel = this.#clock.after(ms * (1 - random() / 2), () => {
      this.#cancels.delete(cancel);
      callback();
    });
    this.#cancels.add(cancel);
  }
}

/**
 * Notes how far was announced. A hint beyond the log was wrong, or is of a read that lags: it is
 * forgotten, and another hint or look will tell.
 */
function settle(
  followed: Followed,
  target: number,
  { seq, items, more = false }: {
    readonly seq: number;
    readonly items?: number | undefined;
    readonly more?: boolean;
  },
): void {
  followed.told = Math.max(followed.told, seq);
  followed.items = items;
  if (more) followed.target = Math.max(followed.target, seq + 1);
  else if (followed.target === target) followed.target = followed.told;
}

/** Whether nothing lies between what was told and the commit. */
function follows(
  { seq, fresh, keys, blobs, items }: Done,
  { told, items: known }: Followed,
): boolean {
  return known !== undefined && items !== undefined && told === seq - fresh.length &&
    known === items - keys.length - blobs.length;
}
