/** What the SQLite store has written and not yet entered into its indexes, in memory. */

import type { BlobRef, StoreName } from "../../protocol/model.ts";
import { refKey } from "./names.ts";

/** A meta that no index knows. */
export interface TailMeta {
  /** Its row. */
  readonly id: number;
  readonly ledger: number;
  readonly seq: number;
  readonly cid: string;
}

/** A blob that no index knows. */
export interface TailBlob {
  /** Its row. */
  readonly id: number;
  readonly ledger: number;
  readonly store: StoreName;
  readonly cid: string;
  readonly size: number;
  /** Whether the listing has it already. */
  isListed: boolean;
}

/** Those of one ledger, oldest first. */
interface TailLedger {
  readonly metas: TailMeta[];
  readonly metaOf: Map<string, TailMeta>;
  readonly blobs: TailBlob[];
  readonly blobOf: Map<string, TailBlob>;
}

/** The newest rows of all ledgers, oldest first. Its size is bounded by who folds it. */
export class Tail {
  readonly metas: TailMeta[] = [];
  readonly blobs: TailBlob[] = [];
  readonly #ledgers = new Map<number, TailLedger>();

  constructor(metas: Iterable<TailMeta>, blobs: Iterable<TailBlob>) {
    for (const meta of metas) this.addMeta(meta);
    for (const blob of blobs) this.addBlob(blob);
  }

  /** How many rows. */
  get size(): number {
    return this.metas.length + this.blobs.length;
  }

  addMeta(meta: TailMeta): void {
    const { metas, metaOf } = this.#open(meta.ledger);
    this.metas.push(meta);
    metas.push(meta);
    metaOf.set(meta.cid, meta);
  }

  addBlob(blob: TailBlob): void {
    const { blobs, blobOf } = this.#open(blob.ledger);
    this.blobs.push(blob);
    blobs.push(blob);
    blobOf.set(refKey(blob), blob);
  }

  findMeta(ledger: number, cid: string): TailMeta | undefined {
    return this.#ledgers.get(ledger)?.metaOf.get(cid);
  }

  findBlob(ledger: number, ref: BlobRef): TailBlob | undefined {
    return this.#ledgers.get(ledger)?.blobOf.get(refKey(ref));
  }

  /** Those of a ledger, in order of `seq`. */
  metasOf(ledger: number): readonly TailMeta[] {
    return this.#ledgers.get(ledger)?.metas ?? [];
  }

  /** Those of a ledger, in order of age. */
  blobsOf(ledger: number): readonly TailBlob[] {
    return this.#ledgers.get(ledger)?.blobs ?? [];
  }

  #open(ledger: number): TailLedger {
    let found = this.#ledgers.get(ledger);
    if (!found) {
      found = { metas: [], metaOf: new Map(), blobs: [], blobOf: new Map() };
      this.#ledgers.set(ledger, found);
    }
    return found;
  }
}
