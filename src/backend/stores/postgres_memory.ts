/** What a server remembers of the ledgers it commits to, so that it need not ask the database. */

import type { Commit, LedgerId, Outcome } from "./meta_store.ts";
import { refKey } from "./names.ts";
import { LedgerDraft, type LedgerFacts, type LedgerRow, planBatch } from "./postgres_batch.ts";

/** A batch that was planned from memory. */
export interface Remembered {
  readonly outcomes: readonly Outcome[];
  readonly drafts: readonly LedgerDraft[];
}

interface Entry extends LedgerFacts {
  row: LedgerRow;
  readonly seqs: Map<string, number>;
  readonly keys: Set<string>;
  /** How much it weighs. */
  bytes: number;
}

/** How often a ledger was not as remembered, one time after another, and how many batches to ask for. */
interface Doubt {
  misses: number;
  left: number;
}

/** Most metas, and most keys, that are remembered of one ledger: the youngest. */
const maxFacts = 1024;
/**
 * About how many bytes are remembered in all, since keys may be long; beyond, ledgers are forgotten that
 * rest. Keys with other than Latin letters take twice as many.
 */
const maxTotalBytes = 32 << 20;
/** What a ledger weighs, and each of its metas and keys, beside their names. */
const ledgerBytes = 512;
const factBytes = 64;
/** Most ledgers that are doubted; beyond, all are trusted again, which costs a round trip each. */
const maxDoubted = 10_000;
/** Most batches that ask, after a ledger was not as remembered. */
const maxDoubt = 64;

/**
 * Plans batches without the database: on facts that stay true whatever comes, and on the assumption
 * that a ledger still bears the stamp that it was last seen with. That nothing else was there of what a
 * commit brings is assumed too. The statement that writes checks all of it.
 */
export class LedgerMemory {
  /** In the order of use. */
  readonly #entries = new Map<LedgerId, Entry>();
  readonly #doubts = new Map<LedgerId, Doubt>();
  #totalBytes = 0;

  /** Plans the batch, or cannot without asking. */
  plan(commits: readonly Commit[]): Remembered | undefined {
    const drafts = new Map<LedgerId, LedgerDraft>();
    for (const { ledger } of commits) {
      if (drafts.has(ledger)) continue;
      const entry = this.#recall(ledger);
      if (!entry) return undefined;
      drafts.set(ledger, new LedgerDraft(entry.row, false, entry));
    }
    const outcomes: Outcome[] = [];
    for (const commit of commits) {
      const draft = drafts.get(commit.ledger);
      if (!draft || !isAnswered(commit, draft)) return undefined;
      outcomes.push(...planBatch([commit], drafts));
    }
    return { outcomes, drafts: [...drafts.values()] };
  }

  /** Takes note of ledgers as they will be when what was planned is written. */
  remember(drafts: Iterable<LedgerDraft>, stamp: number): void {
    for (const draft of drafts) if (draft.exists) this.#note(draft, stamp);
    for (const ledger of this.#entries.keys()) {
      if (this.#totalBytes <= maxTotalBytes) break;
      this.#drop(ledger);
    }
  }

  /** Takes note that ledgers were as remembered. */
  trust(ledgers: Iterable<{ readonly ledger: LedgerId }>): void {
    for (const { ledger } of ledgers) this.#doubts.delete(ledger);
  }

  /**
   * Forgets ledgers that were not as remembered: another server writes to them. The more often in a
   * row, the more batches ask before memory is relied on again.
   */
  doubt(ledgers: Iterable<{ readonly ledger: LedgerId }>): void {
    for (const { ledger } of ledgers) {
      const misses = (this.#doubts.get(ledger)?.misses ?? 0) + 1;
      if (this.#doubts.size >= maxDoubted) this.#doubts.clear();
      this.#doubts.set(ledger, { misses, left: Math.min(2 ** (misses - 1) - 1, maxDoubt) });
      this.#drop(ledger);
    }
  }

  /** Forgets ledgers of whose last change nobody knows what became. */
  forget(ledgers: Iterable<{ readonly ledger: LedgerId }>): void {
    for (const { ledger } of ledgers) this.#drop(ledger);
  }

  #recall(ledger: LedgerId): Entry | undefined {
    const doubt = this.#doubts.get(ledger);
    if (doubt && doubt.left > 0) {
      doubt.left--;
      return undefined;
    }
    return this.#entries.get(ledger);
  }

  #note(draft: LedgerDraft, stamp: number): void {
    const { ledger } = draft;
    const entry = this.#entries.get(ledger) ??
      { row: draft.row, seqs: new Map(), keys: new Set(), bytes: ledgerBytes + ledger.length };
    this.#drop(ledger);
    entry.row = { ...draft.row, stamp };
    for (const [cid, seq] of draft.learned.seqs) {
      if (!entry.seqs.has(cid)) entry.bytes += weigh(cid);
      entry.seqs.set(cid, seq);
    }
    for (const key of draft.learned.keys) {
      if (!entry.keys.has(key)) entry.bytes += weigh(key);
      entry.keys.add(key);
    }
    entry.bytes -= trim(entry.seqs) + trim(entry.keys);
    this.#totalBytes += entry.bytes;
    this.#entries.set(ledger, entry);
  }

  #drop(ledger: LedgerId): void {
    const entry = this.#entries.get(ledger);
    if (!entry) return;
    this.#entries.delete(ledger);
    this.#totalBytes -= entry.bytes;
  }
}

/**
 * Whether what is known decides a commit that brings new metas and blobs: everything it refers to
 * besides must be known to be there.
 */
function isAnswered(commit: Commit, draft: LedgerDraft): boolean {
  const brought = new Set(commit.blobs.map(refKey));
  const named = [commit.retires, ...commit.metas.map((meta) => meta.blobs)].flat();
  return commit.metas.every((meta) => draft.seqOf(meta.cid) === undefined) &&
    commit.supersedes.every((cid) => draft.seqOf(cid) !== undefined) &&
    named.every((ref) => brought.has(refKey(ref)) || draft.hasBlob(ref));
}

function weigh(name: string): number {
  return factBytes + name.length;
}

/** Leaves the youngest. @returns what the others weighed */
function trim(facts: Map<string, number> | Set<string>): number {
  let bytes = 0;
  for (const name of facts.keys()) {
    if (facts.size <= maxFacts) break;
    facts.delete(name);
    bytes += weigh(name);
  }
  return bytes;
}
