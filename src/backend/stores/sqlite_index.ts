/**
 * Finds metas and blobs of the SQLite store. Rows are appended to their tables in order of age, and
 * enter the indexes later, many at once: that makes a commit cheap, whatever the length of its ledger
 * and the number of ledgers beside it. Rows which no index knows yet are held in memory; no other
 * process has the file open, and a new one finds them behind the marks that `indexed` holds.
 */

import type { BlobRef, StoreName } from "../../protocol/model.ts";
import { integerOf, refOf, type Row, textOf } from "./rows.ts";
import { type Fold, startFold } from "./sqlite_fold.ts";
import type { Statements } from "./sqlite_sql.ts";
import { Tail, type TailBlob, type TailMeta } from "./sqlite_tail.ts";

/**
 * For each row that a transaction brings, so many steps are taken; a row needs three at most, one of
 * them for its ledger. So folding keeps ahead of what comes.
 */
const stepsPerRow = 4;

/** Where a meta stands. */
export interface MetaPlace {
  /** Its row. */
  readonly id: number;
  readonly seq: number;
}

/** Options of {@linkcode SqliteIndex}. */
export interface IndexOptions {
  /**
   * So many rows in memory are folded into the indexes, a slice with each transaction. What comes
   * meanwhile adds up to three quarters as many, and what one transaction brings.
   *
   * @default 16384
   */
  readonly foldAtRows?: number | undefined;
  /** Steps of a slice at least, so that rows that lie on one page are taken together. @default 32 */
  readonly foldSteps?: number | undefined;
}

/** The indexes on the disk, and the rows that they lack. */
export class SqliteIndex {
  readonly #sql: Statements;
  readonly #foldAtRows: number;
  readonly #foldSteps: number;
  #tail: Tail;
  #fold: Fold | undefined;
  #lastMeta: number;
  #lastBlob: number;
  /** What the transaction under way has changed in memory. */
  #isFolded = false;
  #listed: TailBlob[] = [];
  #before: { readonly metas: number; readonly blobs: number };

  constructor(sql: Statements, { foldAtRows = 16_384, foldSteps = 32 }: IndexOptions = {}) {
    this.#sql = sql;
    this.#foldAtRows = foldAtRows;
    this.#foldSteps = foldSteps;
    const [metas, blobs] = [indexedUpTo(sql, "meta"), indexedUpTo(sql, "blob")];
    this.#tail = new Tail(
      sql.readNewMetas.all(metas).map(tailMetaOf),
      sql.readNewBlobs.all(blobs).map(tailBlobOf),
    );
    // Never below the marks: a row with a number that was used before would not be entered.
    this.#lastMeta = this.#tail.metas.at(-1)?.id ?? metas;
    this.#lastBlob = this.#tail.blobs.at(-1)?.id ?? blobs;
    this.#before = this.#lengths();
  }

  /** How many rows are in memory. */
  get tailSize(): number {
    return this.#tail.size;
  }

  /** Takes note of a new meta; gives the number of its row. */
  addMeta(ledger: number, seq: number, cid: string): number {
    this.#tail.addMeta({ id: ++this.#lastMeta, ledger, seq, cid });
    return this.#lastMeta;
  }

  /** Takes note of a new blob; gives the number of its row. */
  addBlob(ledger: number, { store, cid }: BlobRef, size: number): number {
    this.#tail.addBlob({ id: ++this.#lastBlob, ledger, store, cid, size, isListed: false });
    return this.#lastBlob;
  }

  findMeta(ledger: number, cid: string): MetaPlace | undefined {
    const recent = this.#tail.findMeta(ledger, cid);
    if (recent) return recent;
    const row = this.#sql.findMeta.get(ledger, cid);
    return row && { id: integerOf(row, "meta"), seq: integerOf(row, "seq") };
  }

  /** The number of a blob's row. */
  findBlob(ledger: number, ref: BlobRef): number | undefined {
    const recent = this.#tail.findBlob(ledger, ref);
    if (recent) return recent.id;
    const row = this.#sql.findBlob.get(ledger, ref.store, ref.cid);
    return row && integerOf(row, "blob");
  }

  /** Seq of the newest meta that is in memory, or 0. */
  lastSeq(ledger: number): number {
    return this.#tail.metasOf(ledger).at(-1)?.seq ?? 0;
  }

  /** At most `limit` metas behind `afterSeq` that are not deleted, in order. */
  readLog(ledger: number, afterSeq: number, limit: number): readonly Row[] {
    const recent = this.#tail.metasOf(ledger);
    const firstRecent = recent[0]?.seq ?? Number.MAX_SAFE_INTEGER;
    const rows: Row[] = afterSeq + 1 < firstRecent
      ? this.#sql.readLog.all(ledger, afterSeq, firstRecent, limit)
      : [];
    // From the end, where most readers come back to.
    const from = recent.findLastIndex(({ seq }) => seq <= afterSeq) + 1;
    for (let at = from; at < recent.length && rows.length < limit; at++) {
      const row = this.#sql.readMeta.get(recent[at]?.id ?? 0);
      if (row) rows.push(row);
    }
    return rows;
  }

  /** At most `limit` blobs, retired ones included, older than the row `olderThan`, newest first. */
  listBlobs(ledger: number, store: StoreName, olderThan: number, limit: number): readonly Row[] {
    const listed = this.#sql.listBlobs.all(ledger, store, olderThan, limit);
    return this.#withRecent(listed, ledger, store, olderThan, limit);
  }

  /** At most `limit` cars in use, newest first. */
  readInventory(ledger: number, limit: number): readonly Row[] {
    const listed = this.#sql.readInventory.all(ledger, limit);
    return this.#withRecent(listed, ledger, "car", Number.MAX_SAFE_INTEGER, limit);
  }

  /** Takes a blob out of the inventory, or back into it. */
  setRetired(ledger: number, ref: BlobRef, isRetired: boolean): void {
    const recent = this.#tail.findBlob(ledger, ref);
    if (recent && !recent.isListed) {
      // In use as long as the listing does not say otherwise.
      if (isRetired) this.#list(recent, true);
      return;
    }
    const id = recent?.id ?? this.findBlob(ledger, ref);
    if (id !== undefined) this.#sql.setRetired.run(ledger, ref.store, id, Number(isRetired));
  }

  /** Enters a slice of what is in memory, if that is enough; within the transaction under way. */
  fold(): void {
    if (!this.#fold && this.#tail.size < this.#foldAtRows) return;
    const fold = this.#fold ??= startFold(this.#tail, this.#sql, (blob) => this.#list(blob, false));
    const { metas, blobs } = this.#before;
    const added = this.#tail.size - metas - blobs;
    let left = Math.max(this.#foldSteps, stepsPerRow * added);
    while (left-- > 0 && !this.#isFolded) this.#isFolded = fold.step();
  }

  /** The transaction is kept. */
  committed(): void {
    if (this.#fold && this.#isFolded) {
      const { metas, blobs } = this.#fold;
      this.#tail = new Tail(this.#tail.metas.slice(metas), this.#tail.blobs.slice(blobs));
      this.#fold = undefined;
    }
    this.#endTransaction();
  }

  /** The transaction is undone. */
  rolledBack(): void {
    for (const blob of this.#listed) blob.isListed = false;
    const { metas, blobs } = this.#before;
    if (this.#tail.size > metas + blobs) {
      this.#tail = new Tail(this.#tail.metas.slice(0, metas), this.#tail.blobs.slice(0, blobs));
    }
    // The steps of its slice are undone: a new fold takes them all again.
    this.#fold = undefined;
    this.#endTransaction();
  }

  #endTransaction(): void {
    this.#isFolded = false;
    this.#listed = [];
    this.#before = this.#lengths();
  }

  #lengths() {
    return { metas: this.#tail.metas.length, blobs: this.#tail.blobs.length };
  }

  #list(blob: TailBlob, isRetired: boolean): void {
    const { id, ledger, store, cid, size } = blob;
    this.#sql.insertListing.run(ledger, store, Number(isRetired), id, cid, size);
    blob.isListed = true;
    this.#listed.push(blob);
  }

  /** A blob of the listing may be younger than one in memory: it was retired before its turn. */
  #withRecent(
    listed: Row[],
    ledger: number,
    store: StoreName,
    olderThan: number,
    limit: number,
  ): readonly Row[] {
    const recent: Row[] = [];
    const blobs = this.#tail.blobsOf(ledger);
    for (let at = blobs.length - 1; at >= 0 && recent.length < limit; at--) {
      const blob = blobs[at];
      if (!blob || blob.isListed || blob.store !== store || blob.id >= olderThan) continue;
      recent.push({ store, cid: blob.cid, size: blob.size, blob: blob.id });
    }
    if (recent.length === 0) return listed;
    const ageOf = (row: Row) => integerOf(row, "blob");
    return [...recent, ...listed].sort((one, other) => ageOf(other) - ageOf(one)).slice(0, limit);
  }
}

function indexedUpTo(sql: Statements, kind: "meta" | "blob"): number {
  const row = sql.findIndexed.get(kind);
  return row ? integerOf(row, "up_to") : 0;
}

function tailMetaOf(row: Row): TailMeta {
  return {
    id: integerOf(row, "id"),
    ledger: integerOf(row, "ledger"),
    seq: integerOf(row, "seq"),
    cid: textOf(row, "cid"),
  };
}

function tailBlobOf(row: Row): TailBlob {
  return {
    ...refOf(row),
    id: integerOf(row, "id"),
    ledger: integerOf(row, "ledger"),
    size: integerOf(row, "size"),
    isListed: integerOf(row, "listed") === 1,
  };
}
