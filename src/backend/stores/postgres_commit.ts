/** Commits a batch of which the database must be asked: lock and look, plan, write. */

import type { BlobRef } from "../../protocol/model.ts";
import type { Commit, LedgerId, Outcome } from "./meta_store.ts";
import { refKey } from "./names.ts";
import { booleanArray, bytesArray, integerArray, namesOf, textArray } from "./postgres_arrays.ts";
import { changesOf, hasPlace, isWritten, LedgerDraft, planBatch } from "./postgres_batch.ts";
import { type Answers, type Session, type Statement, statement } from "./postgres_session.ts";
import { sql } from "./postgres_sql.ts";
import { writeOf } from "./postgres_write.ts";
import { integerOf, type Row, textOf } from "./rows.ts";

/** Options of {@linkcode commitAsking}. */
export interface CommitAskingOptions {
  /** What the ledgers are stamped with. */
  readonly stamp: number;
  /**
   * What an earlier attempt meant to write whose end was not heard: either all of it was kept, or
   * nothing.
   */
  readonly earlier: readonly Outcome[] | undefined;
  /** Told what is meant to be written, right before it is sent. */
  readonly onSend: (outcomes: readonly Outcome[]) => void;
}

/** What became of a batch, and the ledgers as they are now. */
export interface Committed {
  readonly outcomes: readonly Outcome[];
  readonly drafts: Iterable<LedgerDraft>;
}

/**
 * Commits the batch in two round trips and one fsync, or finds that the earlier attempt did. Needs the
 * connection for itself.
 */
export async function commitAsking(
  session: Session,
  commits: readonly Commit[],
  { stamp, earlier, onSend }: CommitAskingOptions,
): Promise<Committed> {
  const asked = askedOf(commits);
  const answers = await session.send({
    begin: statement(sql.begin),
    created: unless(asked.creates, (creates) => statement(sql.createLedgers, ...namesOf(creates))),
    lock: statement(sql.lockLedgers, ...namesOf(asked.ledgers)),
    ledgers: statement(sql.readLedgers, ...namesOf(asked.ledgers)),
    seqs: unless(
      asked.cids,
      (cids) => statement(sql.findSeqs, ...namesOf(cids), textArray(cids.map((it) => it.cid))),
    ),
    blobs: unless(asked.refs, (refs) => statement(sql.knowBlobs, ...refNames(refs))),
    keys: unless(
      asked.keys,
      (keys) => statement(sql.knowKeys, ...namesOf(keys), utf8Array(keys.map((it) => it.key))),
    ),
  });
  const drafts = draftsOf(asked, answers);
  // Behind the locks: the earlier attempt has ended when they are ours. Where each of its rows is in
  // its very place they are its own, or the same of a repeat at another server.
  const isKept = earlier !== undefined && isWritten(commits, earlier, drafts);
  if (isKept && earlier.some(hasPlace)) {
    await session.send({ rollback: statement(sql.rollback) });
    return { outcomes: earlier.map(asFound), drafts: [] };
  }
  // What has no place may be somebody else's, and leaving heads or the inventory leaves no row: done
  // again it changes nothing more, and is told as the first time. What was refused is looked at anew.
  const planned = planBatch(commits, drafts);
  const outcomes = planned.map((outcome, at) => {
    const first = isKept ? earlier[at] : undefined;
    return first?.kind === "done" ? asFound(first) : outcome;
  });
  const changes = changesOf(drafts.values());
  onSend(outcomes);
  // After a failure of one of them, Postgres makes `commit` a rollback.
  await session.send({
    write: writeOf(changes, stamp),
    retired: unless(changes.retired, (rows) =>
      statement(
        sql.setRetired,
        ...namesOf(rows),
        textArray(rows.map((it) => it.store)),
        integerArray(rows.map((it) => it.item)),
        booleanArray(rows.map((it) => it.retired)),
      )),
    unused: unless(
      changes.unused.map((ledger) => ({ ledger })),
      (rows) => statement(sql.dropLedgers, ...namesOf(rows)),
    ),
    commit: statement(sql.commit),
  });
  return { outcomes, drafts: drafts.values() };
}

/** Without what was expected to come before it: a repeat at another server may have been the one. */
function asFound(outcome: Outcome): Outcome {
  return outcome.kind === "done" ? { ...outcome, items: undefined } : outcome;
}

interface InLedger {
  readonly ledger: LedgerId;
}

/** What the plans need to know, each thing once. */
interface Asked {
  readonly ledgers: readonly InLedger[];
  readonly creates: readonly InLedger[];
  readonly cids: readonly (InLedger & { readonly cid: string })[];
  readonly refs: readonly (InLedger & { readonly ref: BlobRef })[];
  readonly keys: readonly (InLedger & { readonly key: string })[];
}

function askedOf(commits: readonly Commit[]): Asked {
  const ledgers = new Map<string, InLedger>();
  const creates = new Map<string, InLedger>();
  const cids = new Map<string, InLedger & { readonly cid: string }>();
  const refs = new Map<string, InLedger & { readonly ref: BlobRef }>();
  const keys = new Map<string, InLedger & { readonly key: string }>();
  for (const commit of commits) {
    const { ledger } = commit;
    ledgers.set(ledger, { ledger });
    if (commit.create) creates.set(ledger, { ledger });
    for (const cid of [...commit.metas.map((meta) => meta.cid), ...commit.supersedes]) {
      cids.set(`${ledger}/${cid}`, { ledger, cid });
    }
    const named = [commit.blobs, commit.retires, ...commit.metas.map((meta) => meta.blobs)];
    for (const ref of named.flat()) refs.set(`${ledger}/${refKey(ref)}`, { ledger, ref });
    for (const key of commit.keys) keys.set(`${ledger}/${key}`, { ledger, key });
  }
  return {
    ledgers: sorted(ledgers),
    creates: sorted(creates),
    cids: [...cids.values()],
    refs: [...refs.values()],
    keys: [...keys.values()],
  };
}

/** In the order in which every instance takes locks. */
function sorted(ledgers: ReadonlyMap<LedgerId, InLedger>): readonly InLedger[] {
  return [...ledgers.keys()].sort().map((ledger) => ({ ledger }));
}

function draftsOf(
  asked: Asked,
  { created, ledgers, seqs, blobs, keys }: Answers<
    "created" | "ledgers" | "seqs" | "blobs" | "keys"
  >,
): ReadonlyMap<LedgerId, LedgerDraft> {
  const isNew = new Set(created.map(ledgerOf));
  const drafts = new Map(ledgers.map((row) => {
    const ledger = ledgerOf(row);
    const counters = {
      ledger,
      head: integerOf(row, "head"),
      items: integerOf(row, "items"),
      stamp: integerOf(row, "stamp"),
    };
    return [ledger, new LedgerDraft(counters, isNew.has(ledger))];
  }));
  for (const row of seqs) {
    const { ledger, cid } = askedAt(asked.cids, row);
    drafts.get(ledger)?.knowMeta(cid, integerOf(row, "seq"));
  }
  for (const row of blobs) {
    const { ledger, ref } = askedAt(asked.refs, row);
    drafts.get(ledger)?.knowBlob(ref, integerOf(row, "item"));
  }
  for (const row of keys) {
    const { ledger, key } = askedAt(asked.keys, row);
    drafts.get(ledger)?.knowKey(key);
  }
  return drafts;
}

function ledgerOf(row: Row): LedgerId {
  return `${textOf(row, "tenant")}/${textOf(row, "ledger")}`;
}

function askedAt<T>(asked: readonly T[], row: Row): T {
  const at = integerOf(row, "at");
  const found = asked[at - 1];
  if (found === undefined) throw new RangeError(`Cannot tell what row ${at} answers`);
  return found;
}

function unless<T>(
  rows: readonly T[],
  write: (rows: readonly T[]) => Statement,
): Statement | undefined {
  return rows.length === 0 ? undefined : write(rows);
}

/** The full names of blobs. */
function refNames(rows: readonly (InLedger & { readonly ref: BlobRef })[]): readonly string[] {
  const refs = rows.map((it) => it.ref);
  return [
    ...namesOf(rows),
    textArray(refs.map((it) => it.store)),
    textArray(refs.map((it) => it.cid)),
  ];
}

function utf8Array(texts: readonly string[]): string {
  const encoder = new TextEncoder();
  return bytesArray(texts.map((text) => encoder.encode(text)));
}
