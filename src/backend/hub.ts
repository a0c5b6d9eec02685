/** Who listens to which ledger on this instance, and what happens there. */

import { formatCursor } from "../protocol/cursor.ts";
import { encodeNotification } from "../protocol/frames.ts";
import type { Notice } from "../protocol/methods.ts";
import type { BlobAnswer, Meta } from "../protocol/model.ts";
import type { Stretch } from "./changes.ts";
import type { Commit, Done, Heads, LedgerId, StoredBlob } from "./stores/meta_store.ts";

/** A change that has just become durable. Changes of a ledger are published in order of `seq`. */
export interface LiveChange {
  /** The position it follows; nothing when it can follow any (`reset`). */
  readonly after: number | undefined;
  readonly seq: number;
  /** The notification, encoded once for all watchers. */
  readonly frame: Uint8Array;
}

/** An ephemeral message. */
export interface Told {
  readonly from: string;
  readonly body: Uint8Array;
}

/** Is called while it listens. Must not throw. */
export interface Listener {
  /** How far it has been told; nothing while it cannot take a live change. */
  readonly position: number | undefined;
  onChange(change: LiveChange): void;
  /** The ledger goes as far as `seq`: whoever lacks something reads it. */
  onMoved(seq: number): void;
  /** `frame` is the notification, encoded once for all watchers. */
  onTold(told: Told, frame: Uint8Array): void;
}

/** Blobs of a commit travel with its notification up to this sum, so that readers need not ask. */
const maxBlobBytes = 64 << 10;

/** Commits of one turn travel in one notification up to this sum; a larger one travels alone. */
const maxGatheredBytes = 64 << 10;

/** What a CID takes with the name of its field. */
const refBytes = 80;

/** What a notification brings. */
interface Content {
  readonly metas: readonly Meta[];
  readonly keys: readonly string[];
  readonly blobs: readonly BlobAnswer[];
  readonly more?: boolean;
}

/** Commits of one turn, each of which follows the one before. */
interface Gathered {
  readonly after: number;
  seq: number;
  bytes: number;
  readonly metas: Meta[];
  readonly keys: string[];
  readonly blobs: BlobAnswer[];
}

/** The listeners of all ledgers. It is as large as the connections allow: each bounds its watches. */
export class Hub {
  readonly #epoch: string;
  readonly #listeners = new Map<LedgerId, Set<Listener>>();
  /** What this turn has published and not told yet. */
  readonly #gathered = new Map<LedgerId, Gathered>();

  constructor(epoch: string) {
    this.#epoch = epoch;
  }

  /** Calls the listener from now on; returns the function that ends it. */
  listen(ledger: LedgerId, listener: Listener): () => void {
    const listeners = this.#listeners.get(ledger) ?? new Set();
    this.#listeners.set(ledger, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#listeners.get(ledger) === listeners) {
        this.#listeners.delete(ledger);
      }
    };
  }

  /** Whether anybody listens to a ledger. */
  has(ledger: LedgerId): boolean {
    return this.#listeners.has(ledger);
  }

  /** The ledgers that somebody listens to. */
  ledgers(): readonly LedgerId[] {
    return [...this.#listeners.keys()];
  }

  /** The lowest position of the listeners that can take a live change; nothing when none can. */
  lowestPosition(ledger: LedgerId): number | undefined {
    let lowest: number | undefined;
    for (const { position } of this.#listeners.get(ledger) ?? []) {
      if (position !== undefined) lowest = Math.min(position, lowest ?? position);
    }
    return lowest;
  }

  /**
   * Publishes a commit; called in the order in which commits of a ledger became durable. Those of one
   * batch are told together, before anybody awaits their answers: a thousand watchers of sixteen
   * commits then take one notification each.
   */
  publish({ ledger }: Commit, { seq, fresh, keys, blobs }: Done): void {
    if (fresh.length === 0 && keys.length === 0) return;
    if (!this.has(ledger)) return;
    // Keys that come alone are heard of by themselves: who lags must know that no meta follows them.
    if (fresh.length === 0) return this.publishKeys(ledger, seq, keys);
    const after = seq - fresh.length;
    const riding = toRide(blobs);
    const bytes = weigh(fresh, keys, riding);
    let gathered = this.#gathered.get(ledger);
    if (gathered && (gathered.seq !== after || gathered.bytes + bytes > maxGatheredBytes)) {
      this.#emitGathered(ledger);
      gathered = undefined;
    }
    if (!gathered) {
      if (this.#gathered.size === 0) queueMicrotask(() => this.#emitAllGathered());
      gathered = { after, seq, bytes: 0, metas: [], keys: [], blobs: [] };
      this.#gathered.set(ledger, gathered);
    }
    gathered.seq = seq;
    gathered.bytes += bytes;
    gathered.metas.push(...fresh);
    gathered.keys.push(...keys);
    gathered.blobs.push(...riding);
  }

  /** Publishes the heads after metas were taken out of them. */
  publishHeads(ledger: LedgerId, { seq, metas, keys }: Heads): void {
    this.#emit(ledger, undefined, seq, { metas, keys, blobs: [] });
  }

  /** Publishes what was read of the log behind `after`; the heads without one. */
  publishStretch(ledger: LedgerId, after: number | undefined, { changes, seq }: Stretch): void {
    this.#emit(ledger, after, seq, changes);
  }

  /** Publishes keys that came without metas, of a ledger that goes as far as `seq`. */
  publishKeys(ledger: LedgerId, seq: number, keys: readonly string[]): void {
    this.#emit(ledger, seq, seq, { metas: [], keys, blobs: [] });
  }

  /** Tells all listeners how far a ledger goes. */
  moved(ledger: LedgerId, seq: number): void {
    this.#emitGathered(ledger);
    for (const listener of this.#listeners.get(ledger) ?? []) listener.onMoved(seq);
  }

  /** Passes an ephemeral message on to all listeners but its sender. */
  tell(ledger: LedgerId, told: Told, sender: Listener | undefined): void {
    const listeners = this.#listeners.get(ledger);
    if (!listeners) return;
    const frame = encodeNotification(
      "told",
      { ledger, from: told.from, body: told.body } satisfies Notice<"told">,
    );
    for (const listener of listeners) {
      if (listener !== sender) listener.onTold(told, frame);
    }
  }

  #emitAllGathered(): void {
    for (const ledger of this.#gathered.keys()) this.#emitGathered(ledger);
  }

  #emitGathered(ledger: LedgerId): void {
    const gathered = this.#gathered.get(ledger);
    if (!gathered) return;
    this.#gathered.delete(ledger);
    this.#send(ledger, gathered.after, gathered.seq, gathered);
  }

  #emit(ledger: LedgerId, after: number | undefined, seq: number, content: Content): void {
    this.#emitGathered(ledger);
    this.#send(ledger, after, seq, content);
  }

  #send(ledger: LedgerId, after: number | undefined, seq: number, content: Content): void {
    const listeners = this.#listeners.get(ledger);
    if (!listeners) return;
    const epoch = this.#epoch;
    const frame = encodeNotification("metas", {
      ledger,
      after: after === undefined ? null : formatCursor({ epoch, seq: after }),
      cursor: formatCursor({ epoch, seq }),
      reset: after === undefined,
      metas: content.metas,
      keys: content.keys,
      blobs: content.blobs,
      more: content.more ?? false,
    });
    const change = { after, seq, frame };
    for (const listener of listeners) listener.onChange(change);
  }
}

/** About the bytes that these take in a notification. */
function weigh(
  metas: readonly Meta[],
  keys: readonly string[],
  blobs: readonly BlobAnswer[],
): number {
  let bytes = 0;
  for (const { data, parents, blobs } of metas) {
    bytes += data.length + refBytes * (1 + parents.length + blobs.length);
  }
  for (const key of keys) bytes += key.length;
  for (const { size } of blobs) bytes += size + 2 * refBytes;
  return bytes;
}

/** Those of the blobs that travel with their notification. */
export function toRide(blobs: readonly StoredBlob[]): BlobAnswer[] {
  const riding: BlobAnswer[] = [];
  let left = maxBlobBytes;
  for (const { store, cid, size, digest, bytes } of blobs) {
    if (bytes === undefined || size > left) continue;
    left -= size;
    riding.push({ store, cid, size, digest, bytes });
  }
  return riding;
}
