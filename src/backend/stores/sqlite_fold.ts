/** Enters rows into the indexes of the SQLite store, in many small steps. */

import type { Statements } from "./sqlite_sql.ts";
import type { Tail, TailBlob, TailMeta } from "./sqlite_tail.ts";

/** Rows on their way into the indexes. */
export interface Fold {
  /** Takes one step; tells whether it was the last. Steps stand in the order of transactions. */
  step(): boolean;
  /** How many of the oldest rows of the tail it enters. */
  readonly metas: number;
  readonly blobs: number;
}

/**
 * Begins to enter all rows of the tail. CIDs are random: sorted, those that lie on one page of an index
 * are entered one after the other, which writes the page once. A step that was taken before, by a
 * process that did not live to take the last one, changes nothing.
 *
 * @param list enters a blob into the listing
 */
export function startFold(tail: Tail, sql: Statements, list: (blob: TailBlob) => void): Fold {
  const metas = [...tail.metas];
  const blobs = [...tail.blobs];
  const steps = takeSteps(metas, blobs, sql, list);
  return {
    step: () => steps.next().done === true,
    metas: metas.length,
    blobs: blobs.length,
  };
}

function* takeSteps(
  metas: readonly TailMeta[],
  blobs: readonly TailBlob[],
  sql: Statements,
  list: (blob: TailBlob) => void,
): Generator<void> {
  const heads = new Map<number, number>();
  for (const { id, ledger, seq } of byLedger(metas)) {
    sql.indexSeq.run(ledger, seq, id);
    heads.set(ledger, seq);
    yield;
  }
  for (const { id, ledger, seq, cid } of metas.toSorted(byCid)) {
    sql.indexMeta.run(ledger, cid, seq, id);
    yield;
  }
  for (const { id, ledger, store, cid } of blobs.toSorted(byStoreAndCid)) {
    sql.indexBlob.run(ledger, store, cid, id);
    yield;
  }
  for (const blob of byLedger(blobs)) {
    if (!blob.isListed) list(blob);
    yield;
  }
  for (const [ledger, head] of heads) {
    sql.setHead.run(ledger, head);
    yield;
  }
  // Last of all, since whatever lies behind these marks is entered again by the next process.
  sql.setIndexed.run("meta", metas.at(-1)?.id ?? 0);
  sql.setIndexed.run("blob", blobs.at(-1)?.id ?? 0);
}

/** In order of age within each ledger. */
function byLedger<T extends { readonly ledger: number }>(rows: readonly T[]): readonly T[] {
  return rows.toSorted((one, other) => one.ledger - other.ledger);
}

function byCid(one: TailMeta, other: TailMeta): number {
  return one.ledger - other.ledger || (one.cid < other.cid ? -1 : 1);
}

function byStoreAndCid(one: TailBlob, other: TailBlob): number {
  if (one.ledger !== other.ledger) return one.ledger - other.ledger;
  if (one.store !== other.store) return one.store < other.store ? -1 : 1;
  return one.cid < other.cid ? -1 : 1;
}
