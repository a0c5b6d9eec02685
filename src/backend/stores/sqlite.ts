/** The embedded MetaStore: one SQLite file, one process, an fsync before every ack. */

import { dirname, resolve } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { HearthError } from "../../protocol/errors.ts";
import type { BlobListing, BlobRef, Meta } from "../../protocol/model.ts";
import { makeDirectory } from "./durable_directory.ts";
import type {
  Commit,
  CompareAndSet,
  FindBlobsOptions,
  Heads,
  LedgerId,
  LogBounds,
  LogPage,
  MetaStore,
  NewBlob,
  Outcome,
  StoredBlob,
  WalKey,
  WalRecord,
} from "./meta_store.ts";
import { splitLedger } from "./names.ts";
import { type LedgerView, planCommit } from "./plan_commit.ts";
import { bytesOf, integerOf, metaOf, refOf, utf8Of } from "./rows.ts";
import { type DatabaseOptions, type OpenDatabase, openDatabase } from "./sqlite_database.ts";
import { toStoreError } from "./sqlite_errors.ts";
import { prepareStatements, type Statements } from "./sqlite_sql.ts";

/** Options of {@linkcode openSqlite}. */
export type SqliteOptions = DatabaseOptions;

/**
 * Opens or makes the database.
 *
 * @throws {HearthError} `UNAVAILABLE` when another process holds the file, it belongs to a newer
 * release, or commits to it would not be durable
 */
export async function openSqlite(options: SqliteOptions): Promise<MetaStore> {
  const path = resolve(options.path);
  await makeDirectory(dirname(path));
  return new SqliteStore(openDatabase({ ...options, path }));
}

/**
 * The driver is synchronous: what a method does between its call and its promise is one step that
 * no other call can come between. So reads of several statements need no transaction.
 */
class SqliteStore implements MetaStore {
  readonly epoch: string;
  readonly #database: DatabaseSync;
  readonly #sql: Statements;

  constructor({ database, epoch }: OpenDatabase) {
    this.epoch = epoch;
    this.#database = database;
    this.#sql = prepareStatements(database);
  }

  commit(commits: readonly Commit[]): Promise<readonly Outcome[]> {
    return this.#write("commit", () => commits.map((commit) => this.#commitOne(commit)));
  }

  bounds(ledger: LedgerId): Promise<LogBounds | undefined> {
    return this.#read("read a ledger", () => this.#bounds(ledger));
  }

  boundsOf(ledgers: readonly LedgerId[]): Promise<ReadonlyMap<LedgerId, LogBounds>> {
    return this.#read("read ledgers", () =>
      new Map(ledgers.flatMap((ledger) => {
        const bounds = this.#bounds(ledger);
        return bounds ? [[ledger, bounds]] : [];
      })));
  }

  log(ledger: LedgerId, afterSeq: number, limit: number): Promise<LogPage> {
    return this.#read("read a log", () => {
      const names = splitLedger(ledger);
      const { head, floor } = this.#bounds(ledger) ?? emptyBounds;
      const rows = this.#sql.readLog.all(...names, afterSeq, limit + 1);
      const more = rows.length > limit;
      const page = rows.slice(0, limit);
      const last = page.at(-1);
      const seq = more && last ? integerOf(last, "seq") : Math.max(head, afterSeq);
      return { metas: page.map(metaOf), keys: this.#keys(ledger, afterSeq, seq), seq, more, floor };
    });
  }

  heads(ledger: LedgerId): Promise<Heads> {
    return this.#read("read heads", () => ({
      metas: this.#sql.readHeads.all(...splitLedger(ledger)).map(metaOf),
      keys: this.#keys(ledger, 0, Number.MAX_SAFE_INTEGER),
      seq: this.#bounds(ledger)?.head ?? 0,
    }));
  }

  deleteMetas(ledger: LedgerId, cids: readonly string[]): Promise<number> {
    return this.#write("delete metas", () => {
      const names = splitLedger(ledger);
      const head = this.#bounds(ledger)?.head ?? 0;
      const deletions = cids.map((cid) => this.#sql.deleteMeta.run(...names, cid, head + 1));
      if (deletions.every(({ changes }) => Number(changes) === 0)) return head;
      this.#sql.raiseFloor.run(...names, head + 1);
      return head + 1;
    });
  }

  findBlobs(
    ledger: LedgerId,
    refs: readonly BlobRef[],
    { bytes = true }: FindBlobsOptions = {},
  ): Promise<readonly StoredBlob[]> {
    return this.#read(
      "find blobs",
      () => refs.flatMap((ref) => this.#findBlob(ledger, ref, bytes) ?? []),
    );
  }

  inventory(ledger: LedgerId, limit: number): Promise<readonly BlobListing[]> {
    return this.#read("list blobs", () =>
      this.#sql.readInventory.all(...splitLedger(ledger), limit)
        .map((row) => ({ ...refOf(row), size: integerOf(row, "size") })));
  }

  getWal(key: WalKey): Promise<WalRecord> {
    return this.#read("read a record", () => {
      const row = this.#sql.findWal.get(...walNames(key));
      return row
        ? { version: integerOf(row, "version"), bytes: bytesOf(row, "bytes") }
        : { version: 0, bytes: null };
    });
  }

  putWal(key: WalKey, version: number, bytes: Uint8Array): Promise<CompareAndSet> {
    return this.#write("write a record", () => {
      const now = this.#walVersion(key);
      if (now !== version) return { done: false, version: now };
      this.#sql.setWal.run(...walNames(key), now + 1, bytes);
      return { done: true, version: now + 1 };
    });
  }

  deleteWal(key: WalKey, version: number): Promise<CompareAndSet> {
    return this.#write("remove a record", () => {
      const now = this.#walVersion(key);
      if (now !== version) return { done: false, version: now };
      this.#sql.deleteWal.run(...walNames(key));
      return { done: true, version: 0 };
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.try(() => {
      if (this.#database.isOpen) this.#database.close();
    });
  }

  #commitOne(commit: Commit): Outcome {
    const bounds = this.#bounds(commit.ledger);
    const plan = planCommit(commit, bounds && this.#view(commit.ledger, bounds.head));
    if (plan.kind === "refused") return plan.outcome;
    const { outcome, head } = plan;
    const names = splitLedger(commit.ledger);
    if (head !== bounds?.head) this.#sql.setHead.run(...names, head);
    outcome.fresh.forEach((meta, at) =>
      this.#insertMeta(names, head - outcome.fresh.length + 1 + at, meta)
    );
    for (const key of outcome.keys) this.#sql.insertKey.run(...names, plan.keySeq, toUtf8(key));
    for (const blob of outcome.blobs) this.#insertBlob(names, blob);
    for (const cid of plan.supersedes) this.#sql.supersede.run(...names, cid, outcome.seq);
    for (const { store, cid } of plan.revives) this.#sql.setRetired.run(...names, store, cid, 0);
    for (const { store, cid } of plan.retires) this.#sql.setRetired.run(...names, store, cid, 1);
    return outcome;
  }

  #view(ledger: LedgerId, head: number): LedgerView {
    const names = splitLedger(ledger);
    return {
      head,
      seqOf: (cid) => {
        const row = this.#sql.findSeq.get(...names, cid);
        return row && integerOf(row, "seq");
      },
      hasBlob: ({ store, cid }) => this.#sql.findBlob.get(...names, store, cid) !== undefined,
      hasKey: (key) => this.#sql.findKey.get(...names, toUtf8(key)) !== undefined,
    };
  }

  #insertMeta(names: readonly [string, string], seq: number, meta: Meta): void {
    const blobs = meta.blobs.map(({ store, cid }) => ({ store, cid }));
    this.#sql.insertMeta.run(
      ...names,
      seq,
      meta.cid,
      JSON.stringify(meta.parents),
      JSON.stringify(blobs),
      meta.data,
    );
  }

  #insertBlob(names: readonly [string, string], blob: NewBlob): void {
    const { store, cid, digest, size, bytes } = blob;
    const { lastInsertRowid } = this.#sql.insertBlob.run(...names, store, cid, digest, size);
    if (bytes) this.#sql.insertContent.run(lastInsertRowid, bytes);
  }

  #bounds(ledger: LedgerId): LogBounds | undefined {
    const row = this.#sql.findLedger.get(...splitLedger(ledger));
    return row && { floor: integerOf(row, "floor"), head: integerOf(row, "head") };
  }

  #keys(ledger: LedgerId, afterSeq: number, upToSeq: number): readonly string[] {
    const rows = this.#sql.readKeys.all(...splitLedger(ledger), afterSeq, upToSeq);
    return rows.map((row) => utf8Of(row, "value"));
  }

  #findBlob(ledger: LedgerId, { store, cid }: BlobRef, bytes: boolean): StoredBlob | undefined {
    const row = this.#sql.findBlob.get(...splitLedger(ledger), store, cid);
    if (!row) return undefined;
    const found = { store, cid, digest: bytesOf(row, "digest"), size: integerOf(row, "size") };
    const content = bytes ? this.#sql.findContent.get(integerOf(row, "id")) : undefined;
    return content ? { ...found, bytes: bytesOf(content, "bytes") } : found;
  }

  #walVersion(key: WalKey): number {
    const row = this.#sql.findWal.get(...walNames(key));
    return row ? integerOf(row, "version") : 0;
  }

  #read<T>(attempt: string, work: () => T): Promise<T> {
    return Promise.try(() => {
      if (this.#database.isOpen) return work();
      throw new HearthError("UNAVAILABLE", `Cannot ${attempt}: the database is closed`);
    });
  }

  /** Everything written is on the disk when the promise resolves, or nothing is when it rejects. */
  #write<T>(attempt: string, work: () => T): Promise<T> {
    return this.#read(attempt, () => {
      try {
        this.#sql.begin.run();
        const result = work();
        this.#sql.commit.run();
        return result;
      } catch (error) {
        // SQLite has rolled back by itself after some faults, a full disk among them.
        if (this.#database.isTransaction) this.#sql.rollback.run();
        throw toStoreError(error, attempt);
      }
    });
  }
}

const emptyBounds: LogBounds = { floor: 0, head: 0 };

function walNames({ ledger, owner, name }: WalKey) {
  return [...splitLedger(ledger), toUtf8(owner), name] as const;
}

function toUtf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
