/** Commits a batch in two round trips and one fsync: lock and look, plan, write. */

import { type Changes, changesOf, isWritten, LedgerDraft, planBatch } from "./postgres_batch.ts";
import type { BlobRef } from "../../protocol/model.ts";
import type { Commit, LedgerId, Outcome } from "./meta_store.ts";
import { refKey, splitLedger } from "./names.ts";
import { booleanArray, bytesArray, integerArray, textArray } from "./postgres_arrays.ts";
import { type Answers, type Session, type Statement, statement } from "./postgres_session.ts";
import { sql } from "./postgres_sql.ts";
import { integerOf, type Row, textOf } from "./rows.ts";

/** An attempt whose end was not heard: either all of it was kept, or nothing. */
export interface OpenAttempt {
  /** The name of its transaction. */
  readonly transaction: string;
  readonly outcomes: readonly Outcome[];
}

/** Options of {@linkcode commitBatch}. */
export interface CommitBatchOptions {
  /** The attempt before this one, when its end was not heard. */
  readonly earlier: OpenAttempt | undefined;
  /** Told right before everything is sent, `commit` included. */
  readonly onSend: (attempt: OpenAttempt) => void;
}

/** Commits the batch, or finds that the earlier attempt did. */
export async function commitBatch(
  session: Session,
  commits: readonly Commit[],
  { earlier, onSend }: CommitBatchOptions,
): Promise<readonly Outcome[]> {
  const asked = askedOf(commits);
  const answers = await session.send({
    begin: statement(sql.begin),
    created: unless(asked.creates, (creates) => statement(sql.createLedgers, ...namesOf(creates))),
    lock: statement(sql.lockLedgers, ...namesOf(asked.ledgers)),
    ledgers: statement(sql.readLedgers, ...namesOf(asked.ledgers)),
    // After the locks: the attempt that holds them has ended when they are ours.
    status: earlier && statement(sql.findTransaction, earlier.transaction),
    names: statement(sql.nameTransaction),
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
  const isCommitted = answers.status[0]?.["status"] === "committed";
  if (earlier && isCommitted && isWritten(commits, earlier.outcomes, drafts)) {
    await session.send({ rollback: statement(sql.rollback) });
    return earlier.outcomes;
  }
  const outcomes = planBatch(commits, drafts);
  onSend({ transaction: textOf(answers.names[0] ?? {}, "name"), outcomes });
  await session.send(writesOf(changesOf(drafts.values())));
  return outcomes;
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
    const counters = { head: integerOf(row, "head"), items: integerOf(row, "items") };
    return [ledger, new LedgerDraft(ledger, { ...counters, isNew: isNew.has(ledger) })];
  }));
  for (const row of seqs) {
    const { ledger, cid } = askedAt(asked.cids, row);
    drafts.get(ledger)?.knowMeta(cid, integerOf(row, "seq"));
  }
  for (const row of blobs) {
    const { ledger, ref } = askedAt(asked.refs, row);
    drafts.get(ledger)?.knowBlob(ref);
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

/** Everything to write, `commit` at the end: after a failure of one, Postgres makes it a rollback. */
function writesOf({ metas, keys, blobs, superseded, retired, heads, unused }: Changes) {
  const contents = blobs.flatMap(({ ledger, blob }) =>
    blob.bytes ? [{ ledger, ref: blob, bytes: blob.bytes }] : []
  );
  return {
    heads: unless(heads, (rows) =>
      statement(
        sql.setHeads,
        ...namesOf(rows),
        integerArray(rows.map((it) => it.head)),
        integerArray(rows.map((it) => it.items)),
      )),
    unused: unless(
      unused.map((ledger) => ({ ledger })),
      (rows) => statement(sql.dropLedgers, ...namesOf(rows)),
    ),
    metas: unless(metas, (rows) =>
      statement(
        sql.insertMetas,
        ...namesOf(rows),
        integerArray(rows.map((it) => it.seq)),
        textArray(rows.map((it) => it.meta.cid)),
        textArray(rows.map((it) => JSON.stringify(it.meta.parents))),
        textArray(rows.map((it) => refsText(it.meta.blobs))),
        integerArray(rows.map((it) => it.superseded)),
        bytesArray(rows.map((it) => it.meta.data)),
      )),
    keys: unless(keys, (rows) =>
      statement(
        sql.insertKeys,
        ...namesOf(rows),
        integerArray(rows.map((it) => it.seq)),
        integerArray(rows.map((it) => it.item)),
        bytesArray(rows.map((it) => it.value)),
      )),
    blobs: unless(blobs, (rows) =>
      statement(
        sql.insertBlobs,
        ...refNames(rows.map(({ ledger, blob }) => ({ ledger, ref: blob }))),
        integerArray(rows.map((it) => it.item)),
        bytesArray(rows.map((it) => it.blob.digest)),
        integerArray(rows.map((it) => it.blob.size)),
        booleanArray(rows.map((it) => it.retired)),
      )),
    contents: unless(
      contents,
      (rows) =>
        statement(sql.insertContents, ...refNames(rows), bytesArray(rows.map((it) => it.bytes))),
    ),
    superseded: unless(superseded, (rows) =>
      statement(
        sql.supersede,
        ...namesOf(rows),
        textArray(rows.map((it) => it.cid)),
        integerArray(rows.map((it) => it.seq)),
      )),
    retired: unless(
      retired,
      (rows) =>
        statement(sql.setRetired, ...refNames(rows), booleanArray(rows.map((it) => it.retired))),
    ),
    commit: statement(sql.commit),
  };
}

function unless<T>(
  rows: readonly T[],
  write: (rows: readonly T[]) => Statement,
): Statement | undefined {
  return rows.length === 0 ? undefined : write(rows);
}

/** Tenants and ledgers, side by side. */
function namesOf(rows: readonly InLedger[]): [tenants: string, ledgers: string] {
  const names = rows.map((it) => splitLedger(it.ledger));
  return [textArray(names.map(([tenant]) => tenant)), textArray(names.map(([, ledger]) => ledger))];
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

function refsText(blobs: readonly BlobRef[]): string {
  return JSON.stringify(blobs.map(({ store, cid }) => ({ store, cid })));
}

function utf8Array(texts: readonly string[]): string {
  const encoder = new TextEncoder();
  return bytesArray(texts.map((text) => encoder.encode(text)));
}
