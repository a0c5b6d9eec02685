/**
 * What the server needs of a database. Every implementation passes `tests/conformance/meta_store.ts`.
 *
 * Promises: a commit is atomic, and durable when its promise resolves (G1, G2); repeating it
 * changes nothing and returns the first outcome (G3); in each ledger `seq` is 1, 2, 3 … in commit
 * order (G4); a commit that names blobs which are not stored changes nothing (G9); the bytes of a
 * blob never change once a commit has named it (G10).
 */

import type { BlobListing, BlobRef, Meta, StoreName } from "../../protocol/model.ts";

/** A ledger's full name, `tenant/ledger`; parsed at the door. */
export type LedgerId = string;

/** A blob that a commit brings: small ones with their bytes, others stored in the blob store before. */
export interface NewBlob extends BlobRef {
  /** SHA-256 of the stored bytes. */
  readonly digest: Uint8Array;
  readonly size: number;
  /** Present when the database itself keeps the bytes. */
  readonly bytes?: Uint8Array | undefined;
}

/** A blob that the ledger holds. */
export interface StoredBlob extends NewBlob {
  /** The database keeps its bytes, and they were not read: they are beyond what was asked for. */
  readonly unread?: true;
}

/** One client's commit. */
export interface Commit {
  readonly ledger: LedgerId;
  readonly blobs: readonly NewBlob[];
  readonly metas: readonly Meta[];
  readonly keys: readonly string[];
  /** CIDs of metas that these metas cover: they leave the heads and stay in history. */
  readonly supersedes: readonly string[];
  /** Blobs no reader of the new heads needs: they leave the inventory and stay readable. */
  readonly retires: readonly BlobRef[];
  /** Whether the first commit may create the ledger. */
  readonly create: boolean;
}

/** What became of a commit. One that is refused changes nothing and harms no neighbour in its batch. */
export type Outcome =
  | {
    readonly kind: "done";
    /** Seq of its last meta; of the ledger's head when it had none. */
    readonly seq: number;
    /** Metas that were new, in order: `seq - fresh.length + 1 … seq`. Empty for a repeat. */
    readonly fresh: readonly Meta[];
    /** Keys that the ledger did not have. */
    readonly keys: readonly string[];
    /** Blobs that the ledger did not have. */
    readonly blobs: readonly StoredBlob[];
    /**
     * How many keys and blobs the ledger has had behind the commit, its own at the end: so it tells
     * whether anything came before it that no `seq` tells of. Nothing where this is not counted, or
     * was not heard when the commit was kept.
     */
    readonly items?: number | undefined;
  }
  | { readonly kind: "missing"; readonly blobs: readonly BlobRef[] }
  | { readonly kind: "unknown-ledger" };

/** What became of a commit that was kept. */
export type Done = Extract<Outcome, { readonly kind: "done" }>;

/** A stretch of a ledger's log. */
export interface LogPage {
  /** Metas in order of `seq`. */
  readonly metas: readonly Meta[];
  /** Keys that came with them; where the page reaches the head, also those that came alone since. */
  readonly keys: readonly string[];
  /** Seq of the last meta of the page; of the head when the page reaches it. */
  readonly seq: number;
  /** Whether the log goes on behind `seq`. */
  readonly more: boolean;
  /** The ledger's floor: a page asked for below it is not whole, and its reader needs the heads. */
  readonly floor: number;
  /**
   * How many keys and blobs the ledger has had by then. Known only where the page reaches the head and
   * no key came alone since: a reader who stood at the head before would lack such a key.
   */
  readonly items?: number | undefined;
}

/** A ledger as a fresh reader needs it. */
export interface Heads {
  readonly metas: readonly Meta[];
  readonly keys: readonly string[];
  /** The ledger's head. */
  readonly seq: number;
}

/** The bounds of what can be read of a ledger. */
export interface LogBounds {
  /** The lowest `seq` after which the log is whole: a cursor below it starts from the heads. */
  readonly floor: number;
  /** The highest `seq`. */
  readonly head: number;
}

/** A device's own record. */
export interface WalRecord {
  /** 1, 2, 3 … with each write; 0 when there is no record. */
  readonly version: number;
  readonly bytes: Uint8Array | null;
}

/** Names a record of a device. */
export interface WalKey {
  readonly ledger: LedgerId;
  /** Whose record: the token's subject. */
  readonly owner: string;
  readonly name: string;
}

/** How much a ledger holds that no reader may see. */
export interface HeldCount {
  readonly ledger: LedgerId;
  /** How many metas. */
  readonly metas: number;
}

/** Options of {@linkcode MetaStore.findBlobs}. */
export interface FindBlobsOptions {
  /**
   * How much to read of what the database keeps: blobs in the order asked, up to the first that does
   * not fit in; 0 reads none.
   *
   * @default everything
   */
  readonly maxBytes?: number | undefined;
}

/** The database behind the server. */
export interface MetaStore extends AsyncDisposable {
  /** Names this history: it changes whenever what was acknowledged may have been undone. */
  readonly epoch: string;
  /**
   * How many large calls of `commit` may be on their way at once, so that no part of the database's way
   * stands idle; small ones gain by being fewer. Calls that touch the same ledger end in the order in
   * which they began, and so do their `seq`s.
   */
  readonly batchesAtOnce: number;

  /** Commits several clients' commits in one durable step; outcomes come in the order given. */
  commit(commits: readonly Commit[]): Promise<readonly Outcome[]>;

  /** The bounds of a ledger; nothing when it does not exist. */
  bounds(ledger: LedgerId): Promise<LogBounds | undefined>;
  /** The bounds of several ledgers at once; those that do not exist are left out. */
  boundsOf(ledgers: readonly LedgerId[]): Promise<ReadonlyMap<LedgerId, LogBounds>>;
  /** At most `limit` metas behind `afterSeq`. */
  log(ledger: LedgerId, afterSeq: number, limit: number): Promise<LogPage>;
  /** The metas that nothing supersedes, oldest first, with all keys. */
  heads(ledger: LedgerId): Promise<Heads>;
  /** Takes metas out of the heads; takes a `seq` of its own and raises the floor to it. */
  deleteMetas(ledger: LedgerId, cids: readonly string[]): Promise<number>;

  /** Those of the blobs that a commit of this ledger has named, in the order asked. */
  findBlobs(
    ledger: LedgerId,
    refs: readonly BlobRef[],
    options?: FindBlobsOptions,
  ): Promise<readonly StoredBlob[]>;
  /**
   * At most `limit` blobs of one store, retired ones included, newest first, without their bytes: from
   * the newest, or those older than the blob `before`; nothing when the ledger does not hold that one.
   */
  listBlobs(
    ledger: LedgerId,
    store: StoreName,
    limit: number,
    before?: string,
  ): Promise<readonly BlobListing[] | undefined>;
  /** Blobs in use (`car` store, not retired), newest first, without their bytes. */
  inventory(ledger: LedgerId, limit: number): Promise<readonly BlobListing[]>;

  /**
   * Keeps metas apart that no reader may see yet, durably. One that is held already stays as it is.
   *
   * @returns whether all are held: none of them is added to `limit` or more that are held already
   */
  hold(ledger: LedgerId, metas: readonly Meta[], limit: number): Promise<boolean>;
  /** The metas of a ledger that are held. */
  heldMetas(ledger: LedgerId): Promise<readonly Meta[]>;
  /** Lets go of held metas; those that are not held are left out. */
  unhold(ledger: LedgerId, cids: readonly string[]): Promise<void>;
  /** At most `limit` ledgers that hold metas, by name, behind the name `after`. */
  heldLedgers(limit: number, after?: LedgerId): Promise<readonly HeldCount[]>;

  getWal(key: WalKey): Promise<WalRecord>;
  /** Writes if the record is at `version`; gives the record's version now and whether it wrote. */
  putWal(key: WalKey, version: number, bytes: Uint8Array): Promise<CompareAndSet>;
  /** Removes if the record is at `version`. */
  deleteWal(key: WalKey, version: number): Promise<CompareAndSet>;
}

/** Outcome of a compare-and-set. */
export interface CompareAndSet {
  readonly done: boolean;
  /** The version the record has now. */
  readonly version: number;
}
