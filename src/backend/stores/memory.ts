/** Both stores in memory, for tests: the same semantics, and nothing outlives the process. */

import { Buffer } from "node:buffer";
import type { BlobListing, BlobRef, Meta, StoreName } from "../../protocol/model.ts";
import { checkBody } from "./blob_check.ts";
import type { BlobKey, BlobStore } from "./blob_store.ts";
import { createEpoch } from "./epoch.ts";
import type {
  Commit,
  CompareAndSet,
  FindBlobsOptions,
  Heads,
  HeldCount,
  LedgerId,
  LogBounds,
  LogPage,
  MetaStore,
  Outcome,
  StoredBlob,
  WalKey,
  WalRecord,
} from "./meta_store.ts";
import { refKey } from "./names.ts";
import { planCommit } from "./plan_commit.ts";

/** Makes an empty MetaStore. */
export function createMemoryMetaStore(): MetaStore {
  return new MemoryMetaStore();
}

/** Makes an empty BlobStore. */
export function createMemoryBlobStore(): BlobStore {
  return new MemoryBlobStore();
}

interface StoredMeta {
  readonly meta: Meta;
  readonly seq: number;
  isHead: boolean;
  isDeleted: boolean;
}

/** One ledger; its maps keep the order of arrival. */
class MemoryLedger {
  head = 0;
  floor = 0;
  readonly metas = new Map<string, StoredMeta>();
  readonly keys = new Map<string, number>();
  readonly blobs = new Map<string, { readonly blob: StoredBlob; isRetired: boolean }>();

  get items(): number {
    return this.keys.size + this.blobs.size;
  }

  seqOf(cid: string): number | undefined {
    return this.metas.get(cid)?.seq;
  }

  hasBlob(ref: BlobRef): boolean {
    return this.blobs.has(refKey(ref));
  }

  hasKey(key: string): boolean {
    return this.keys.has(key);
  }

  setRetired(ref: BlobRef, isRetired: boolean): void {
    const found = this.blobs.get(refKey(ref));
    if (found) found.isRetired = isRetired;
  }

  hasKeysBehind(seq: number): boolean {
    return this.keysBetween(seq, Infinity).length > 0;
  }

  keysBetween(afterSeq: number, upToSeq: number): readonly string[] {
    return [...this.keys].filter(([, seq]) => seq > afterSeq && seq <= upToSeq).map(([key]) => key);
  }
}

class MemoryMetaStore implements MetaStore {
  readonly epoch = createEpoch();
  readonly batchesAtOnce = 1;
  readonly #ledgers = new Map<LedgerId, MemoryLedger>();
  readonly #held = new Map<LedgerId, Map<string, Meta>>();
  readonly #wal = new Map<string, { readonly version: number; readonly bytes: Uint8Array }>();

  commit(commits: readonly Commit[]): Promise<readonly Outcome[]> {
    return Promise.resolve(commits.map((commit) => this.#commitOne(commit)));
  }

  bounds(ledger: LedgerId): Promise<LogBounds | undefined> {
    const found = this.#ledgers.get(ledger);
    return Promise.resolve(found && { floor: found.floor, head: found.head });
  }

  boundsOf(ledgers: readonly LedgerId[]): Promise<ReadonlyMap<LedgerId, LogBounds>> {
    return Promise.resolve(
      new Map(ledgers.flatMap((ledger) => {
        const found = this.#ledgers.get(ledger);
        return found ? [[ledger, { floor: found.floor, head: found.head }]] : [];
      })),
    );
  }

  log(ledger: LedgerId, afterSeq: number, limit: number): Promise<LogPage> {
    const found = this.#ledgers.get(ledger) ?? new MemoryLedger();
    const later = [...found.metas.values()].filter((it) => it.seq > afterSeq && !it.isDeleted);
    const page = later.slice(0, limit);
    const last = page.at(-1);
    const more = later.length > limit;
    const seq = more && last ? last.seq : Math.max(found.head, afterSeq);
    return Promise.resolve({
      metas: page.map((it) => it.meta),
      keys: found.keysBetween(afterSeq, more ? seq : Infinity),
      seq,
      more,
      floor: found.floor,
      items: more || found.hasKeysBehind(seq) ? undefined : found.items,
    });
  }

  heads(ledger: LedgerId): Promise<Heads> {
    const found = this.#ledgers.get(ledger) ?? new MemoryLedger();
    const heads = [...found.metas.values()].filter((it) => it.isHead && !it.isDeleted);
    return Promise.resolve({
      metas: heads.map((it) => it.meta),
      keys: [...found.keys.keys()],
      seq: found.head,
    });
  }

  deleteMetas(ledger: LedgerId, cids: readonly string[]): Promise<number> {
    const found = this.#ledgers.get(ledger) ?? new MemoryLedger();
    const deleted = cids.flatMap((cid) => found.metas.get(cid) ?? [])
      .filter((it) => !it.isDeleted);
    if (deleted.length > 0) found.floor = ++found.head;
    for (const it of deleted) it.isDeleted = true;
    return Promise.resolve(found.head);
  }

  findBlobs(
    ledger: LedgerId,
    refs: readonly BlobRef[],
    { maxBytes = Infinity }: FindBlobsOptions = {},
  ): Promise<readonly StoredBlob[]> {
    const blobs = this.#ledgers.get(ledger)?.blobs;
    let read = 0;
    return Promise.resolve(refs.flatMap((ref) => {
      const blob = blobs?.get(refKey(ref))?.blob;
      if (!blob) return [];
      const { bytes, ...rest } = blob;
      if (!bytes) return [rest];
      read += rest.size;
      return [maxBytes > 0 && read <= maxBytes ? { ...rest, bytes } : { ...rest, unread: true }];
    }));
  }

  listBlobs(
    ledger: LedgerId,
    store: StoreName,
    limit: number,
    before?: string,
  ): Promise<readonly BlobListing[] | undefined> {
    const blobs = [...this.#ledgers.get(ledger)?.blobs.values() ?? []].map(({ blob }) => blob)
      .filter((blob) => blob.store === store).reverse();
    const at = before === undefined ? -1 : blobs.findIndex(({ cid }) => cid === before);
    const isUnknown = before !== undefined && at < 0;
    return Promise.resolve(
      isUnknown ? undefined : blobs.slice(at + 1, at + 1 + limit).map(toListing),
    );
  }

  inventory(ledger: LedgerId, limit: number): Promise<readonly BlobListing[]> {
    const blobs = [...this.#ledgers.get(ledger)?.blobs.values() ?? []];
    const inUse = blobs.filter(({ blob, isRetired }) => blob.store === "car" && !isRetired);
    return Promise.resolve(inUse.reverse().slice(0, limit).map(({ blob }) => toListing(blob)));
  }

  hold(ledger: LedgerId, metas: readonly Meta[], limit: number): Promise<boolean> {
    const held = this.#held.get(ledger) ?? new Map();
    const fresh = metas.filter(({ cid }) => !held.has(cid));
    if (fresh.length > 0 && held.size >= limit) return Promise.resolve(false);
    for (const meta of fresh) held.set(meta.cid, meta);
    this.#held.set(ledger, held);
    return Promise.resolve(true);
  }

  heldMetas(ledger: LedgerId): Promise<readonly Meta[]> {
    return Promise.resolve([...this.#held.get(ledger)?.values() ?? []]);
  }

  unhold(ledger: LedgerId, cids: readonly string[]): Promise<void> {
    for (const cid of cids) this.#held.get(ledger)?.delete(cid);
    return Promise.resolve();
  }

  heldLedgers(limit: number, after = ""): Promise<readonly HeldCount[]> {
    const held = [...this.#held].map(([ledger, { size }]) => ({ ledger, metas: size }))
      .filter(({ ledger, metas }) => metas > 0 && isBehind(ledger, after))
      .toSorted((one, other) => isBehind(one.ledger, other.ledger) ? 1 : -1);
    return Promise.resolve(held.slice(0, limit));
  }

  getWal(key: WalKey): Promise<WalRecord> {
    return Promise.resolve(this.#wal.get(walName(key)) ?? { version: 0, bytes: null });
  }

  putWal(key: WalKey, version: number, bytes: Uint8Array): Promise<CompareAndSet> {
    const now = this.#walVersion(key);
    if (now !== version) return Promise.resolve({ done: false, version: now });
    this.#wal.set(walName(key), { version: now + 1, bytes });
    return Promise.resolve({ done: true, version: now + 1 });
  }

  deleteWal(key: WalKey, version: number): Promise<CompareAndSet> {
    const now = this.#walVersion(key);
    if (now !== version) return Promise.resolve({ done: false, version: now });
    this.#wal.delete(walName(key));
    return Promise.resolve({ done: true, version: 0 });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  #commitOne(commit: Commit): Outcome {
    const plan = planCommit(commit, this.#ledgers.get(commit.ledger));
    if (plan.kind === "refused") return plan.outcome;
    const ledger = this.#ledgers.get(commit.ledger) ?? new MemoryLedger();
    this.#ledgers.set(commit.ledger, ledger);
    const { outcome } = plan;
    for (const meta of outcome.fresh) {
      ledger.metas.set(meta.cid, { meta, seq: ++ledger.head, isHead: true, isDeleted: false });
    }
    for (const key of outcome.keys) ledger.keys.set(key, plan.keySeq);
    for (const blob of outcome.blobs) ledger.blobs.set(refKey(blob), { blob, isRetired: false });
    for (const { cid } of plan.supersedes) {
      const covered = ledger.metas.get(cid);
      if (covered) covered.isHead = false;
    }
    for (const ref of plan.revives) ledger.setRetired(ref, false);
    for (const ref of plan.retires) ledger.setRetired(ref, true);
    return { ...outcome, items: ledger.items };
  }

  #walVersion(key: WalKey): number {
    return this.#wal.get(walName(key))?.version ?? 0;
  }
}

/** By tenant first, as databases sort: a name may hold characters below the slash. */
function isBehind(one: LedgerId, other: LedgerId): boolean {
  return one.replace("/", "\0") > other.replace("/", "\0");
}

function toListing({ store, cid, size }: StoredBlob): BlobListing {
  return { store, cid, size };
}

function walName({ ledger, owner, name }: WalKey): string {
  return JSON.stringify([ledger, owner, name]);
}

class MemoryBlobStore implements BlobStore {
  readonly #blobs = new Map<string, readonly Uint8Array[]>();

  async put(key: BlobKey, body: AsyncIterable<Uint8Array>): Promise<void> {
    if (this.#blobs.has(blobName(key))) return;
    const pieces: Uint8Array[] = [];
    for await (const piece of checkBody(key, body)) pieces.push(piece);
    this.#blobs.set(blobName(key), pieces);
  }

  has(key: BlobKey): Promise<boolean> {
    return Promise.resolve(this.#blobs.has(blobName(key)));
  }

  get(key: BlobKey): Promise<AsyncIterable<Uint8Array> | undefined> {
    const pieces = this.#blobs.get(blobName(key));
    return Promise.resolve(pieces && readPieces(pieces));
  }

  delete(key: BlobKey): Promise<void> {
    this.#blobs.delete(blobName(key));
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

async function* readPieces(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces;
}

function blobName({ ledger, store, cid, digest, size }: BlobKey): string {
  return JSON.stringify([ledger, store, cid, Buffer.from(digest).toString("hex"), size]);
}
