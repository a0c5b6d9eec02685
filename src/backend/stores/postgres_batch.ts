/**
 * A batch of commits between two round trips: what the database told of the ledgers, and what the
 * commits planned so far change. Nothing here waits or talks to the database.
 */

import type { BlobRef, Meta } from "../../protocol/model.ts";
import type { Commit, LedgerId, NewBlob, Outcome } from "./meta_store.ts";
import { refKey } from "./names.ts";
import { type LedgerView, type Plan, planCommit } from "./plan_commit.ts";

type Accepted = Extract<Plan, { readonly kind: "accepted" }>;

/** A meta to insert. */
export interface MetaRow {
  readonly ledger: LedgerId;
  readonly seq: number;
  readonly meta: Meta;
  superseded: number | null;
}

/** A key to insert. */
export interface KeyRow {
  readonly ledger: LedgerId;
  readonly seq: number;
  readonly item: number;
  readonly value: Uint8Array;
}

/** A blob to insert. */
export interface BlobRow {
  readonly ledger: LedgerId;
  readonly item: number;
  readonly blob: NewBlob;
  retired: boolean;
}

/** What is to be written. */
export interface Changes {
  readonly metas: readonly MetaRow[];
  readonly keys: readonly KeyRow[];
  readonly blobs: readonly BlobRow[];
  /** Metas from before the batch that leave the heads. */
  readonly superseded: readonly {
    readonly ledger: LedgerId;
    readonly cid: string;
    readonly seq: number;
  }[];
  /** Blobs from before the batch that leave the inventory or come back. */
  readonly retired: readonly {
    readonly ledger: LedgerId;
    readonly ref: BlobRef;
    readonly retired: boolean;
  }[];
  /** Ledgers whose counters moved. */
  readonly heads: readonly {
    readonly ledger: LedgerId;
    readonly head: number;
    readonly items: number;
  }[];
  /** Ledgers that were created for commits which turned out to be refused. */
  readonly unused: readonly LedgerId[];
}

/** The counters of a ledger's row. */
export interface LedgerRow {
  readonly head: number;
  readonly items: number;
  /** Whether this batch made the row. */
  readonly isNew: boolean;
}

/** One ledger, and the view of it that the next plan needs. */
export class LedgerDraft implements LedgerView {
  readonly #ledger: LedgerId;
  readonly #row: LedgerRow;
  readonly #seqs = new Map<string, number>();
  readonly #keys = new Set<string>();
  readonly #blobs = new Set<string>();
  readonly #newMetas = new Map<string, MetaRow>();
  readonly #newKeys: KeyRow[] = [];
  readonly #newBlobs = new Map<string, BlobRow>();
  readonly #superseded = new Map<string, number>();
  readonly #retired = new Map<string, { readonly ref: BlobRef; readonly retired: boolean }>();
  #head: number;
  #items: number;
  #exists: boolean;

  constructor(ledger: LedgerId, row: LedgerRow) {
    this.#ledger = ledger;
    this.#row = row;
    this.#head = row.head;
    this.#items = row.items;
    this.#exists = !row.isNew;
  }

  get head(): number {
    return this.#head;
  }

  /** Whether it existed before the batch, or a commit of the batch has created it. */
  get exists(): boolean {
    return this.#exists;
  }

  seqOf(cid: string): number | undefined {
    return this.#seqs.get(cid);
  }

  hasBlob(ref: BlobRef): boolean {
    return this.#blobs.has(refKey(ref));
  }

  hasKey(key: string): boolean {
    return this.#keys.has(key);
  }

  /** Takes note of a meta that the database holds. */
  knowMeta(cid: string, seq: number): void {
    this.#seqs.set(cid, seq);
  }

  /** Takes note of a blob that the database holds. */
  knowBlob(ref: BlobRef): void {
    this.#blobs.add(refKey(ref));
  }

  /** Takes note of a key that the database holds. */
  knowKey(key: string): void {
    this.#keys.add(key);
  }

  /** Makes the changes of a plan. */
  apply({ outcome, head, keySeq, supersedes, revives, retires }: Accepted): void {
    const ledger = this.#ledger;
    this.#exists = true;
    for (const meta of outcome.fresh) {
      const seq = ++this.#head;
      this.#seqs.set(meta.cid, seq);
      this.#newMetas.set(meta.cid, { ledger, seq, meta, superseded: null });
    }
    if (this.#head !== head) throw new RangeError(`Cannot reach ${head} from ${this.#head}`);
    for (const key of outcome.keys) {
      this.#keys.add(key);
      this.#newKeys.push({ ledger, seq: keySeq, item: ++this.#items, value: encoder.encode(key) });
    }
    for (const blob of outcome.blobs) {
      this.#blobs.add(refKey(blob));
      this.#newBlobs.set(refKey(blob), { ledger, item: ++this.#items, blob, retired: false });
    }
    for (const cid of supersedes) this.#supersede(cid, outcome.seq);
    for (const ref of revives) this.#setRetired(ref, false);
    for (const ref of retires) this.#setRetired(ref, true);
  }

  /** Everything that the plans have changed. */
  changes(): Changes {
    const ledger = this.#ledger;
    const isMoved = this.#head !== this.#row.head || this.#items !== this.#row.items;
    return {
      metas: [...this.#newMetas.values()],
      keys: this.#newKeys,
      blobs: [...this.#newBlobs.values()],
      superseded: [...this.#superseded].map(([cid, seq]) => ({ ledger, cid, seq })),
      retired: [...this.#retired.values()].map((it) => ({ ledger, ...it })),
      heads: isMoved ? [{ ledger, head: this.#head, items: this.#items }] : [],
      unused: this.#row.isNew && !this.#exists ? [ledger] : [],
    };
  }

  #supersede(cid: string, seq: number): void {
    const own = this.#newMetas.get(cid);
    if (own) own.superseded ??= seq;
    else if (!this.#superseded.has(cid)) this.#superseded.set(cid, seq);
  }

  #setRetired(ref: BlobRef, retired: boolean): void {
    const own = this.#newBlobs.get(refKey(ref));
    if (own) own.retired = retired;
    else this.#retired.set(refKey(ref), { ref, retired });
  }
}

const encoder = new TextEncoder();

/** Plans commits in their order, each upon those before it. */
export function planBatch(
  commits: readonly Commit[],
  drafts: ReadonlyMap<LedgerId, LedgerDraft>,
): readonly Outcome[] {
  return commits.map((commit) => {
    const draft = drafts.get(commit.ledger);
    const plan = planCommit(commit, draft?.exists ? draft : undefined);
    if (plan.kind === "refused") return plan.outcome;
    if (!draft) throw new RangeError(`Cannot commit to "${commit.ledger}": its row was not made`);
    draft.apply(plan);
    return plan.outcome;
  });
}

/** The changes of all ledgers, to be written together. */
export function changesOf(drafts: Iterable<LedgerDraft>): Changes {
  const all = Array.from(drafts, (draft) => draft.changes());
  return {
    metas: all.flatMap((it) => it.metas),
    keys: all.flatMap((it) => it.keys),
    blobs: all.flatMap((it) => it.blobs),
    superseded: all.flatMap((it) => it.superseded),
    retired: all.flatMap((it) => it.retired),
    heads: all.flatMap((it) => it.heads),
    unused: all.flatMap((it) => it.unused),
  };
}

/** Whether everything that the outcomes say was written is in the ledgers, at its very place. */
export function isWritten(
  commits: readonly Commit[],
  outcomes: readonly Outcome[],
  drafts: ReadonlyMap<LedgerId, LedgerDraft>,
): boolean {
  return outcomes.every((outcome, at) => {
    if (outcome.kind !== "done") return true;
    const draft = drafts.get(commits[at]?.ledger ?? "");
    const { seq, fresh, keys, blobs } = outcome;
    return draft !== undefined &&
      fresh.every((meta, nth) => draft.seqOf(meta.cid) === seq - fresh.length + 1 + nth) &&
      keys.every((key) => draft.hasKey(key)) && blobs.every((blob) => draft.hasBlob(blob));
  });
}
