/** One watch of a ledger: hands changes to its owner in order, one at a time, and holds few of them. */

import { parseCursor } from "../protocol/cursor.ts";
import type { HearthError } from "../protocol/errors.ts";
import type { Changes } from "../protocol/model.ts";
import type { Watch, WatchEvents, WatchOptions } from "./client.ts";

/** What a watcher asks of the feed that it belongs to. */
export interface WatcherOwner {
  /** The watcher has room again, from its `position` on. */
  onDrained(): void;
  /** The watcher is over. */
  onClosed(watcher: Watcher): void;
}

/** Bytes of changes that wait for their owner. */
const maxQueuedBytes = 4 << 20;

/** One watch. */
export class Watcher implements Watch {
  readonly inventory: boolean;
  readonly #events: WatchEvents;
  readonly #owner: WatcherOwner;
  readonly #signal: AbortSignal | undefined;
  readonly #queue: Changes[] = [];
  #queuedBytes = 0;
  #cursor: string | undefined;
  #position: string | undefined;
  #behind = false;
  #delivering = false;
  #linkLive = false;
  #caughtUp = false;
  #live = false;
  #closed = false;

  constructor(events: WatchEvents, owner: WatcherOwner, options: WatchOptions) {
    this.#events = events;
    this.#owner = owner;
    this.#cursor = this.#position = options.cursor;
    this.inventory = options.inventory ?? false;
    this.#signal = options.signal;
    this.#signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  get cursor(): string | undefined {
    return this.#cursor;
  }

  /** The cursor behind the last changes taken in; they may not be delivered yet. */
  get position(): string | undefined {
    return this.#position;
  }

  /** Whether changes had to be refused for want of room. */
  get behind(): boolean {
    return this.#behind;
  }

  /** Whether everything there was has been taken in since the link came. */
  get caughtUp(): boolean {
    return this.#caughtUp;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#queue.length = 0;
    this.#owner.onClosed(this);
  }

  /** Ends the watch for a reason that its owner must know. */
  fail(error: HearthError): void {
    if (this.#closed) return;
    this.setLinkLive(false);
    this.close();
    this.#events.onError?.(error);
  }

  /** Forgets the position: what comes next must be the heads. */
  restart(): void {
    this.#position = undefined;
    this.lag();
  }

  /** Tells that there may be more than was taken in. */
  lag(): void {
    this.#caughtUp = false;
    this.#settleLive();
  }

  /** Takes changes in; false when something is missing between them and the position. */
  offer(changes: Changes): boolean {
    if (this.#behind || this.#closed) return true;
    const fit = compare(changes, this.#position);
    if (fit === "gap") {
      this.lag();
      return false;
    }
    const bytes = sizeOf(changes);
    // At the bound what came so far is kept, and the rest is asked for again when that is delivered.
    if (this.#queue.length > 0 && this.#queuedBytes + bytes > maxQueuedBytes) {
      this.#behind = true;
      this.lag();
      return true;
    }
    if (fit === "next") {
      this.#queue.push(changes);
      this.#queuedBytes += bytes;
      this.#position = changes.cursor;
    }
    if (!changes.more) this.#caughtUp = true;
    void this.#deliver();
    return true;
  }

  /** Hands over an ephemeral message. */
  told(from: string, body: Uint8Array): void {
    if (!this.#closed) this.#events.onTold?.(from, body);
  }

  /** Tells whether there is a link that nobody doubts. */
  setLinkLive(live: boolean): void {
    this.#linkLive = live;
    this.#settleLive();
  }

  readonly #onAbort = (): void => this.close();

  async #deliver(): Promise<void> {
    if (this.#delivering) return;
    this.#delivering = true;
    for (let next = this.#queue[0]; next; next = this.#queue[0]) {
      await this.#events.onChanges(next);
      if (this.#closed) return;
      this.#cursor = next.cursor;
      this.#queue.shift();
      this.#queuedBytes -= sizeOf(next);
    }
    this.#delivering = false;
    if (this.#behind) {
      this.#behind = false;
      this.#owner.onDrained();
    }
    this.#settleLive();
  }

  /** Live is who has been given all there is; what comes later does not change that. */
  #settleLive(): void {
    const ready = this.#live || !this.#delivering;
    const live = this.#linkLive && this.#caughtUp && !this.#behind && ready;
    if (live === this.#live || this.#closed) return;
    this.#live = live;
    this.#events.onLive?.(live);
  }
}

/** How changes fit to a position: right behind it, already known, or with something missing between. */
function compare(changes: Changes, position: string | undefined): "next" | "known" | "gap" {
  // Heads are news even at the position held: keys may have come without a meta.
  if (changes.reset) return "next";
  if (position !== undefined && changes.after === position) {
    const empty = changes.metas.length === 0 && changes.keys.length === 0;
    return empty && changes.cursor === position ? "known" : "next";
  }
  const [after, end, here] = [changes.after ?? "", changes.cursor, position ?? ""].map(parseCursor);
  if (!after || !end || !here || end.epoch !== here.epoch || after.seq > here.seq) return "gap";
  // Asked for by another watch that was further back; a part may be known, and repeats are harmless.
  return end.seq <= here.seq ? "known" : "next";
}

/** About how much memory changes hold. */
function sizeOf({ metas, keys, blobs, inventory }: Changes): number {
  let bytes = 256 + 128 * (inventory?.length ?? 0);
  for (const { data, parents, blobs } of metas) {
    bytes += data.length + 128 * (1 + parents.length + blobs.length);
  }
  for (const key of keys) bytes += key.length;
  for (const blob of blobs) bytes += 256 + (blob.bytes?.length ?? 0);
  return bytes;
}
