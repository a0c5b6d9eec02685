/**
 * Decides what a commit changes, for every store alike: it is refused whole, or this is to be
 * written. Pure, so that nothing has been touched when a commit turns out to be refused.
 */

import type { BlobRef } from "../../protocol/model.ts";
import type { Commit, Done, Outcome } from "./meta_store.ts";
import { refKey } from "./names.ts";

/** What the plan needs to know of the ledger, earlier commits of the batch included. */
export interface LedgerView {
  readonly head: number;
  /** Seq of a meta, also of one that is superseded or deleted. */
  seqOf(cid: string): number | undefined;
  hasBlob(ref: BlobRef): boolean;
  hasKey(key: string): boolean;
}

/** A commit to refuse, or what it changes. */
export type Plan =
  | { readonly kind: "refused"; readonly outcome: Exclude<Outcome, Done> }
  | {
    readonly kind: "accepted";
    /** Also what to insert: its fresh metas, keys and blobs. */
    readonly outcome: Done;
    /** The ledger's head behind the commit. */
    readonly head: number;
    /** Seq of the keys: the next of the log, so that they reach readers with the next meta. */
    readonly keySeq: number;
    /** Metas that leave the heads. */
    readonly supersedes: readonly { readonly cid: string; readonly seq: number }[];
    /** Blobs that come back into the inventory, since a new meta names them. */
    readonly revives: readonly BlobRef[];
    /** Blobs that leave the inventory, new ones perhaps among them. */
    readonly retires: readonly BlobRef[];
  };

/** Plans one commit. @param view the ledger, or nothing when it does not exist */
export function planCommit(commit: Commit, view: LedgerView | undefined): Plan {
  if (!view && !commit.create) return { kind: "refused", outcome: { kind: "unknown-ledger" } };
  const ledger = view ?? emptyLedger;
  const isFresh = (meta: { readonly cid: string }) => ledger.seqOf(meta.cid) === undefined;
  const fresh = distinct(commit.metas, (meta) => meta.cid).filter(isFresh);
  const named = distinct(fresh.flatMap((meta) => meta.blobs), refKey);
  const brought = new Set(commit.blobs.map(refKey));
  const hasBlob = asksOnce(ledger);
  const missing = named.filter((ref) => !brought.has(refKey(ref)) && !hasBlob(ref));
  if (missing.length > 0) return { kind: "refused", outcome: { kind: "missing", blobs: missing } };

  const head = ledger.head + fresh.length;
  const seq = fresh.length > 0 ? head : lastSeq(commit, ledger);
  // Whoever repeats a commit knows nothing newer than the first time: a blob that came back into
  // use since then must not leave the inventory again.
  const isRepeat = commit.metas.length > 0 && fresh.length === 0;
  const retires = isRepeat ? [] : distinct(commit.retires, refKey)
    .filter((ref) => brought.has(refKey(ref)) || hasBlob(ref));
  const retired = new Set(retires.map(refKey));
  return {
    kind: "accepted",
    outcome: {
      kind: "done",
      seq,
      fresh,
      keys: distinct(commit.keys, (key) => key).filter((key) => !ledger.hasKey(key)),
      // The bytes of a blob are those of the first commit that named it (G10): others fall away.
      blobs: distinct(commit.blobs, refKey).filter((blob) => !hasBlob(blob)),
    },
    head,
    keySeq: ledger.head + 1,
    supersedes: superseded(commit, ledger, seq),
    revives: named.filter((ref) => !brought.has(refKey(ref)) || hasBlob(ref))
      .filter((ref) => !retired.has(refKey(ref))),
    retires,
  };
}

const emptyLedger: LedgerView = {
  head: 0,
  seqOf: () => undefined,
  hasBlob: () => false,
  hasKey: () => false,
};

function lastSeq({ metas }: Commit, ledger: LedgerView): number {
  if (metas.length === 0) return ledger.head;
  return Math.max(...metas.map((meta) => ledger.seqOf(meta.cid) ?? 0));
}

/** A repeat comes late: without the bound of its own seq it could cover what it never saw. */
function superseded(commit: Commit, ledger: LedgerView, seq: number) {
  if (commit.metas.length === 0) return [];
  const own = new Set(commit.metas.map((meta) => meta.cid));
  return distinct(commit.supersedes, (cid) => cid).flatMap((cid) => {
    const at = ledger.seqOf(cid);
    return at !== undefined && at < seq && !own.has(cid) ? [{ cid, seq: at }] : [];
  });
}

/** Asks for each blob once: in some stores that is a search. */
function asksOnce(ledger: LedgerView): (ref: BlobRef) => boolean {
  const answers = new Map<string, boolean>();
  return (ref) => {
    const key = refKey(ref);
    const answer = answers.get(key) ?? ledger.hasBlob(ref);
    answers.set(key, answer);
    return answer;
  };
}

/** The first item of each key. */
function distinct<T>(items: readonly T[], keyOf: (item: T) => string): readonly T[] {
  if (items.length < 2) return items;
  const seen = new Set<string>();
  return items.filter((item) => {
    const size = seen.size;
    return seen.add(keyOf(item)).size > size;
  });
}
