/** The embedded MetaStore: one SQLite file, one process, an fsync before every ack. */

import { dirname, resolve } from "node:path";
import {
  type BlobListing,
  type BlobRef,
  type Meta,
  splitLedger,
  type StoreName,
} from "../../protocol/model.ts";
import type { Registry } from "../../sts/registry.ts";
import { makeDirectory } from "./durable_directory.ts";
import type {
  Commit,
  CompareAndSet,
  FindBlobsOptions,
  Heads,
  HeldCount,
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
import { type LedgerView, planCommit } from "./plan_commit.ts";
import { bytesOf, heldOf, integerOf, listingOf, metaOf, utf8Of } from "./rows.ts";
import { type AfterWrite, SqliteConnection } from "./sqlite_connection.ts";
import { type DatabaseOptions, type OpenDatabase, openDatabase } from "./sqlite_database.ts";
import { holdMetas } from "./sqlite_held.ts";
import { type IndexOptions, SqliteIndex } from "./sqlite_index.ts";
import { type LedgerRow, SqliteLedgers } from "./sqlite_ledgers.ts";
import { createSqliteRegistry } from "./sqlite_registry.ts";
import { prepareStatements, sql, type Statements } from "./sqlite_sql.ts";

/** Options of {@linkcode openSqlite}. */
export interface SqliteOptions extends DatabaseOptions, IndexOptions {}

/** A MetaStore, and the Registry in the same file: its lock lets nobody open that a second time. */
export interface EmbeddedStore extends MetaStore {
  /** Open as long as the store is; disposing it does nothing. */
  readonly registry: Registry;
}

/**
 * Opens or makes the database.
 *
 * @throws {HearthError} `UNAVAILABLE` when another process holds the file, it belongs to a newer
 * release, or commits to it would not be durable
 */
export async function openSqlite(options: SqliteOptions): Promise<EmbeddedStore> {
  const path = resolve(options.path);
  await makeDirectory(dirname(path));
  return new SqliteStore(openDatabase({ ...options, path }), options);
}

class SqliteStore implements EmbeddedStore {
  readonly epoch: string;
  readonly batchesAtOnce = 1;
  readonly registry: Registry;
  readonly #connection: SqliteConnection;
  readonly #sql: Statements;
  readonly #index: SqliteIndex;
  readonly #ledgers: SqliteLedgers;
  readonly #afterWrite: AfterWrite;

  constructor({ database, epoch }: OpenDatabase, options: IndexOptions) {
    this.epoch = epoch;
    this.#connection = new SqliteConnection(database);
    this.registry = createSqliteRegistry(this.#connection, database);
    this.#sql = prepareStatements(database, sql);
    this.#index = new SqliteIndex(this.#sql, options);
    this.#ledgers = new SqliteLedgers(this.#sql, this.#index);
    this.#afterWrite = {
      committed: () => this.#index.committed(),
      rolledBack: () => {
        this.#index.rolledBack();
        this.#ledgers.rolledBack();
      },
    };
  }

  commit(commits: readonly Commit[]): Promise<readonly Outcome[]> {
    return this.#write("commit", () => {
      const outcomes = commits.map((commit) => this.#commitOne(commit));
      this.#index.fold();
      return outcomes;
    });
  }

  bounds(ledger: LedgerId): Promise<LogBounds | undefined> {
    return this.#read("read a ledger", () => boundsOf(this.#find(ledger)));
  }

  boundsOf(ledgers: readonly LedgerId[]): Promise<ReadonlyMap<LedgerId, LogBounds>> {
    return this.#read("read ledgers", () =>
      new Map(ledgers.flatMap((ledger) => {
        const bounds = boundsOf(this.#find(ledger));
        return bounds ? [[ledger, bounds]] : [];
      })));
  }

  log(ledger: LedgerId, afterSeq: number, limit: number): Promise<LogPage> {
    return this.#read("read a log", () => {
      const { id, head, floor } = this.#find(ledger) ?? nowhere;
      const rows = this.#index.readLog(id, afterSeq, limit + 1);
      const more = rows.length > limit;
      const page = rows.slice(0, limit);
      const last = page.at(-1);
      const seq = more && last ? integerOf(last, "seq") : Math.max(head, afterSeq);
      const keys = this.#keys(id, afterSeq, more ? seq : Number.MAX_SAFE_INTEGER);
      return { metas: page.map(metaOf), keys, seq, more, floor };
    });
  }

  heads(ledger: LedgerId): Promise<Heads> {
    return this.#read("read heads", () => {
      const { id, head } = this.#find(ledger) ?? nowhere;
      return {
        metas: this.#sql.readHeads.all(id).map(metaOf),
        keys: this.#keys(id, 0, Number.MAX_SAFE_INTEGER),
        seq: head,
      };
    });
  }

  deleteMetas(ledger: LedgerId, cids: readonly string[]): Promise<number> {
    return this.#write("delete metas", () => {
      const found = this.#find(ledger) ?? nowhere;
      const floor = found.head + 1;
      const deleted = cids.flatMap((cid) => this.#index.findMeta(found.id, cid) ?? [])
        .filter(({ id }) => Number(this.#sql.deleteMeta.run(id, floor).changes) > 0);
      if (deleted.length === 0) return found.head;
      for (const { seq } of deleted) this.#sql.deleteHead.run(found.id, seq);
      this.#ledgers.raiseFloor(ledger, found, floor);
      return floor;
    });
  }

  findBlobs(
    ledger: LedgerId,
    refs: readonly BlobRef[],
    { maxBytes = Infinity }: FindBlobsOptions = {},
  ): Promise<readonly StoredBlob[]> {
    return this.#read("find blobs", () => {
      const { id } = this.#find(ledger) ?? nowhere;
      let left = maxBytes > 0 ? maxBytes : -1;
      return refs.flatMap((ref) => {
        const blob = this.#findBlob(id, ref, left);
        if (blob?.bytes) left -= blob.size;
        else if (blob?.unread) left = -1;
        return blob ?? [];
      });
    });
  }

  listBlobs(
    ledger: LedgerId,
    store: StoreName,
    limit: number,
    before?: string,
  ): Promise<readonly BlobListing[] | undefined> {
    return this.#read("list blobs", () => {
      const { id } = this.#find(ledger) ?? nowhere;
      const olderThan = before === undefined
        ? Number.MAX_SAFE_INTEGER
        : this.#index.findBlob(id, { store, cid: before });
      if (olderThan === undefined) return undefined;
      return this.#index.listBlobs(id, store, olderThan, limit).map(listingOf);
    });
  }

  inventory(ledger: LedgerId, limit: number): Promise<readonly BlobListing[]> {
    return this.#read("list blobs", () => {
      const { id } = this.#find(ledger) ?? nowhere;
      return this.#index.readInventory(id, limit).map(listingOf);
    });
  }

  hold(ledger: LedgerId, metas: readonly Meta[], limit: number): Promise<boolean> {
    return this.#write("hold metas", () => holdMetas(this.#sql, ledger, metas, limit));
  }

  heldMetas(ledger: LedgerId): Promise<readonly Meta[]> {
    return this.#read(
      "read held metas",
      () => this.#sql.readHeld.all(...splitLedger(ledger)).map(metaOf),
    );
  }

  unhold(ledger: LedgerId, cids: readonly string[]): Promise<void> {
    return this.#write("let go of held metas", () => {
      for (const cid of cids) this.#sql.deleteHeld.run(...splitLedger(ledger), cid);
    });
  }

  heldLedgers(limit: number, after = "/"): Promise<readonly HeldCount[]> {
    return this.#read(
      "read held metas",
      () => this.#sql.countHeld.all(...splitLedger(after), limit).map(heldOf),
    );
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
    return Promise.try(() => this.#connection.close());
  }

  #commitOne(commit: Commit): Outcome {
    const found = this.#find(commit.ledger);
    const plan = planCommit(commit, found && this.#view(found));
    if (plan.kind === "refused") return plan.outcome;
    const { outcome, head } = plan;
    const ledger = found ?? this.#ledgers.create(commit.ledger);
    const { id } = ledger;
    this.#ledgers.setHead(commit.ledger, ledger, head);
    outcome.fresh.forEach((meta, at) =>
      this.#insertMeta(id, head - outcome.fresh.length + 1 + at, meta)
    );
    for (const key of outcome.keys) this.#sql.insertKey.run(id, plan.keySeq, toUtf8(key));
    for (const blob of outcome.blobs) this.#insertBlob(id, blob);
    for (const { seq } of plan.supersedes) this.#sql.deleteHead.run(id, seq);
    for (const ref of plan.revives) this.#index.setRetired(id, ref, false);
    for (const ref of plan.retires) this.#index.setRetired(id, ref, true);
    return outcome;
  }

  #view({ id, head }: LedgerRow): LedgerView {
    return {
      head,
      seqOf: (cid) => this.#index.findMeta(id, cid)?.seq,
      hasBlob: (ref) => this.#index.findBlob(id, ref) !== undefined,
      hasKey: (key) => this.#sql.findKey.get(id, toUtf8(key)) !== undefined,
    };
  }

  #insertMeta(ledger: number, seq: number, meta: Meta): void {
    const blobs = meta.blobs.map(({ store, cid }) => ({ store, cid }));
    const id = this.#index.addMeta(ledger, seq, meta.cid);
    this.#sql.insertMeta.run(
      id,
      ledger,
      seq,
      meta.cid,
      JSON.stringify(meta.parents),
      JSON.stringify(blobs),
      meta.data,
    );
    this.#sql.insertHead.run(ledger, seq, id);
  }

  #insertBlob(ledger: number, blob: NewBlob): void {
    const { store, cid, digest, size, bytes = null } = blob;
    const id = this.#index.addBlob(ledger, blob, size);
    this.#sql.insertBlob.run(id, ledger, store, cid, digest, size, bytes);
  }

  #find(ledger: LedgerId): LedgerRow | undefined {
    return this.#ledgers.find(ledger);
  }

  #keys(ledger: number, afterSeq: number, upToSeq: number): readonly string[] {
    const rows = this.#sql.readKeys.all(ledger, afterSeq, upToSeq);
    return rows.map((row) => utf8Of(row, "value"));
  }

  /** @param left bytes that may be read; below 0 none are, also not those of an empty blob */
  #findBlob(ledger: number, { store, cid }: BlobRef, left: number): StoredBlob | undefined {
    const id = this.#index.findBlob(ledger, { store, cid });
    if (id === undefined) return undefined;
    const row = (left < 0 ? this.#sql.describeBlob : this.#sql.readBlob).get(id);
    if (!row) return undefined;
    const found = { store, cid, digest: bytesOf(row, "digest"), size: integerOf(row, "size") };
    if (integerOf(row, "kept") === 0) return found;
    return found.size <= left
      ? { ...found, bytes: bytesOf(row, "bytes") }
      : { ...found, unread: true };
  }

  #walVersion(key: WalKey): number {
    const row = this.#sql.findWal.get(...walNames(key));
    return row ? integerOf(row, "version") : 0;
  }

  #read<T>(attempt: string, work: () => T): Promise<T> {
    return this.#connection.read(attempt, work);
  }

  #write<T>(attempt: string, work: () => T): Promise<T> {
    return this.#connection.write(attempt, work, this.#afterWrite);
  }
}

/** Stands for a ledger that does not exist: no row has its number. */
const nowhere: LedgerRow = { id: 0, head: 0, floor: 0 };

function boundsOf(row: LedgerRow | undefined): LogBounds | undefined {
  return row && { floor: row.floor, head: row.head };
}

function walNames({ ledger, owner, name }: WalKey) {
  return [...splitLedger(ledger), toUtf8(owner), name] as const;
}

function toUtf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
