/**
 * A batch of commits before it is written: what is known of the ledgers, and what the commits planned
 * so far change. Nothing here waits or talks to the database.
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
  /** Whether a later commit of the batch supersedes it. */
  superseded: boolean;
}

/** A key to insert. */
export interface KeyRow {
  readonly ledger: LedgerId;
  readonly seq: number;
  readonly item: number;
  readonly key: string;
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
  readonly superseded: readonly { readonly ledger: LedgerId; readonly seq: number }[];
  /** Blobs from before the batch that leave the inventory or come back. */
  readonly retired: readonly RetiredRow[];
  /** All ledgers of the batch but the unused ones. */
  readonly ledgers: readonly LedgerRow[];
  /** Ledgers that were created for commits which turned out to be refused. */
  readonly unused: readonly LedgerId[];
}

/** A blob that leaves the inventory or comes back. */
export interface RetiredRow {
  readonly ledger: LedgerId;
  readonly store: BlobRef["store"];
  readonly item: number;
  readonly retired: boolean;
}

/** The counters of a ledger, behind what its stamp says it held. */
export interface LedgerRow {
  readonly ledger: LedgerId;
  readonly head: number;
  /** How many keys and blobs have come. */
  readonly items: number;
  readonly stamp: number;
}

/** Facts about a ledger that stay true, whatever comes. */
export interface LedgerFacts {
  /** Metas it holds, with their seqs. */
  readonly seqs: ReadonlyMap<string, number>;
  /** Keys it holds. */
  readonly keys: ReadonlySet<string>;
}

/** One ledger, and the view of it that the next plan needs. */
export class LedgerDraft implements LedgerView {
  readonly ledger: LedgerId;
  readonly #row: LedgerRow;
  readonly #facts: LedgerFacts;
  readonly #seqs = new Map<string, number>();
  readonly #keys = new Set<string>();
  /** Blobs, with their items. */
  readonly #blobs = new Map<string, number>();
  readonly #newMetas = new Map<string, MetaRow>();
  readonly #newKeys: KeyRow[] = [];
  readonly #newBlobs = new Map<string, BlobRow>();
  readonly #superseded = new Set<number>();
  readonly #retired = new Map<string, RetiredRow>();
  #head: number;
  #items: number;
  #exists: boolean;

  /** @param isNew whether this batch made the ledger's row */
  constructor(row: LedgerRow, isNew: boolean, facts: LedgerFacts = noFacts) {
    this.ledger = row.ledger;
    this.#row = row;
    this.#facts = facts;
    this.#head = row.head;
    this.#items = row.items;
    this.#exists = !isNew;
  }

  get head(): number {
    return this.#head;
  }

  /** Whether it existed before the batch, or a commit of the batch has created it. */
  get exists(): boolean {
    return this.#exists;
  }

  seqOf(cid: string): number | undefined {
    return this.#seqs.get(cid) ?? this.#facts.seqs.get(cid);
  }

  hasBlob(ref: BlobRef): boolean {
    return this.#blobs.has(refKey(ref));
  }

  hasKey(key: string): boolean {
    return this.#keys.has(key) || this.#facts.keys.has(key);
  }

  /** As it will be, under the stamp of before. */
  get row(): LedgerRow {
    return { ...this.#row, head: this.#head, items: this.#items };
  }

  /** Takes note of a meta that the database holds. */
  knowMeta(cid: string, seq: number): void {
    this.#seqs.set(cid, seq);
  }

  /** Takes note of a blob that the database holds. */
  knowBlob(ref: BlobRef, item: number): void {
    this.#blobs.set(refKey(ref), item);
  }

  /** Takes note of a key that the database holds. */
  knowKey(key: string): void {
    this.#keys.add(key);
  }

  /** Makes the changes of a plan. */
  apply({ outcome, head, keySeq, supersedes, revives, retires }: Accepted): void {
    const { ledger } = this;
    this.#exists = true;
    for (const meta of outcome.fresh) {
      const seq = ++this.#head;
      this.#seqs.set(meta.cid, seq);
      this.#newMetas.set(meta.cid, { ledger, seq, meta, superseded: false });
    }
    if (this.#head !== head) throw new RangeError(`Cannot reach ${head} from ${this.#head}`);
    for (const key of outcome.keys) {
      this.#keys.add(key);
      this.#newKeys.push({ ledger, seq: keySeq, item: ++this.#items, key });
    }
    for (const blob of outcome.blobs) {
      const item = ++this.#items;
      this.#blobs.set(refKey(blob), item);
      this.#newBlobs.set(refKey(blob), { ledger, item, blob, retired: false });
    }
    for (const { cid, seq } of supersedes) {
      const own = this.#newMetas.get(cid);
      if (own) own.superseded = true;
      else this.#superseded.add(seq);
    }
    for (const ref of revives) this.#setRetired(ref, false);
    for (const ref of retires) this.#setRetired(ref, true);
  }

  /** Everything that the plans have changed. */
  changes(): Changes {
    const { ledger } = this;
    return {
      metas: [...this.#newMetas.values()],
      keys: this.#newKeys,
      blobs: [...this.#newBlobs.values()],
      superseded: Array.from(this.#superseded, (seq) => ({ ledger, seq })),
      retired: [...this.#retired.values()],
      ledgers: this.#exists ? [this.row] : [],
      unused: this.#exists ? [] : [ledger],
    };
  }

  /** What was asked for or came in this batch. */
  get learned(): LedgerFacts {
    return { seqs: this.#seqs, keys: this.#keys };
  }

  #setRetired(ref: BlobRef, retired: boolean): void {
    const own = this.#newBlobs.get(refKey(ref));
    const item = this.#blobs.get(refKey(ref));
    if (own) own.retired = retired;
    else if (item !== undefined) {
      this.#retired.set(refKey(ref), { ledger: this.ledger, store: ref.store, item, retired });
    }
  }
}

const noFacts: LedgerFacts = { seqs: new Map(), keys: new Set() };
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
    return { ...plan.outcome, items: draft.row.items };
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
    // In the order in which every instance takes locks.
    ledgers: all.flatMap((it) => it.ledgers)
      .sort((one, other) => one.ledger < other.ledger ? -1 : 1),
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

/** Whether it wrote something whose place tells who wrote it. */
export function hasPlace(outcome: Outcome): boolean {
  return outcome.kind === "done" && outcome.fresh.length > 0;
}
