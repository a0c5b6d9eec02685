/** The MetaStore for several servers at once: one Postgres database, an fsync before every ack. */

import { type Clock, systemClock } from "../../base/clock.ts";
import type { BlobListing, BlobRef } from "../../protocol/model.ts";
import type {
  Commit,
  CompareAndSet,
  FindBlobsOptions,
  Heads,
  LedgerId,
  LogBounds,
  LogPage,
  MetaStore,
  Outcome,
  StoredBlob,
  WalKey,
  WalRecord,
} from "./meta_store.ts";
import { splitLedger } from "./names.ts";
import { textArray } from "./postgres_arrays.ts";
import { commitBatch, type OpenAttempt } from "./postgres_commit.ts";
import { readyDatabase, resumeSession } from "./postgres_database.ts";
import { Pool } from "./postgres_pool.ts";
import { repeatLost, type RepeatOptions } from "./postgres_retry.ts";
import { type Session, type SessionOptions, statement } from "./postgres_session.ts";
import { sql } from "./postgres_sql.ts";
import { bytesOf, integerOf, metaOf, refOf, type Row, textOf, utf8Of } from "./rows.ts";

/** Options of {@linkcode openPostgres}. */
export interface PostgresOptions extends SessionOptions {
  /** Most connections, of which a quarter, and one at least, is for commits alone. @default 10 */
  readonly maxConnections?: number | undefined;
  /** How long a call waits for a free connection before it is refused. @default 5000 */
  readonly maxWaitMs?: number | undefined;
  /**
   * Into how many parts tables are split by tenant and ledger when the schema is made, 256 at most;
   * 0 leaves them whole. A schema that is there keeps its form. @default 0
   */
  readonly partitions?: number | undefined;
  /** Spreads repeats: a number in [0, 1). @default Math.random */
  readonly random?: (() => number) | undefined;
}

/**
 * Opens the database, and makes the schema `hearth` in it when it is not there.
 *
 * The epoch changes when a standby takes over, a backup is recovered from archived logs, or a dump is
 * loaded elsewhere; it does not notice that a disk was set back to a snapshot.
 *
 * Calls wait for a connection and for the database within bounds, and are repeated a few times when
 * the connection is lost; then they fail with `UNAVAILABLE` and `retryAfterMs`. A commit that fails so
 * may have been kept: repeating it is harmless and tells.
 *
 * @throws {HearthError} `UNAVAILABLE` when the database cannot be reached, is a standby, belongs to a
 * newer release, or commits to it would not be durable
 * @throws {RangeError} when `maxConnections` is less than 2 or `partitions` out of bounds
 */
export async function openPostgres(options: PostgresOptions): Promise<MetaStore> {
  const { maxConnections = 10, partitions = 0 } = options;
  if (!Number.isInteger(maxConnections) || maxConnections < 2) {
    throw new RangeError(
      `Cannot share ${maxConnections} connections: reads and commits need one each`,
    );
  }
  if (!Number.isInteger(partitions) || partitions < 0 || partitions > maxPartitions) {
    throw new RangeError(
      `Cannot split tables into ${partitions} parts: 0 to ${maxPartitions} are possible`,
    );
  }
  const repeat = { clock: options.clock ?? systemClock, random: options.random ?? Math.random };
  const epoch = await repeatLost(
    "open the database",
    () => readyDatabase(options, partitions),
    repeat,
  );
  const forCommits = Math.max(1, Math.floor(maxConnections / 4));
  const open = () => resumeSession(options, epoch);
  return new PostgresStore(epoch, {
    repeat,
    // Apart, so that neither readers nor commits wait for the other's connections.
    commits: new Pool({ ...options, maxSessions: forCommits, open }),
    others: new Pool({ ...options, maxSessions: maxConnections - forCommits, open }),
  });
}

/** Beyond it, planning costs more than splitting saves. */
const maxPartitions = 256;

interface Parts {
  readonly repeat: RepeatOptions & { readonly clock: Clock };
  readonly commits: Pool;
  readonly others: Pool;
}

class PostgresStore implements MetaStore {
  readonly epoch: string;
  readonly #repeat: RepeatOptions;
  readonly #commits: Pool;
  readonly #others: Pool;

  constructor(epoch: string, { repeat, commits, others }: Parts) {
    this.epoch = epoch;
    this.#repeat = repeat;
    this.#commits = commits;
    this.#others = others;
  }

  async commit(commits: readonly Commit[]): Promise<readonly Outcome[]> {
    if (commits.length === 0) return [];
    let earlier: OpenAttempt | undefined;
    return await this.#run(this.#commits, "commit", async (session) => {
      let sent: OpenAttempt | undefined;
      try {
        return await commitBatch(session, commits, { earlier, onSend: (it) => (sent = it) });
      } catch (error) {
        // Before that nothing can have been kept, and an attempt before that one is still open.
        earlier = sent ?? earlier;
        throw error;
      }
    });
  }

  bounds(ledger: LedgerId): Promise<LogBounds | undefined> {
    return this.#read("read a ledger", async (session) => {
      const { rows: [row] } = await session.send({
        rows: statement(sql.findLedger, ...splitLedger(ledger)),
      });
      return row && { floor: integerOf(row, "floor"), head: integerOf(row, "head") };
    });
  }

  boundsOf(ledgers: readonly LedgerId[]): Promise<ReadonlyMap<LedgerId, LogBounds>> {
    return this.#read("read ledgers", async (session) => {
      const names = ledgers.map(splitLedger);
      const { rows } = await session.send({
        rows: statement(
          sql.findLedgers,
          textArray(names.map(([tenant]) => tenant)),
          textArray(names.map(([, name]) => name)),
        ),
      });
      return new Map(rows.map((row) => [
        `${textOf(row, "tenant")}/${textOf(row, "ledger")}`,
        { floor: integerOf(row, "floor"), head: integerOf(row, "head") },
      ]));
    });
  }

  log(ledger: LedgerId, afterSeq: number, limit: number): Promise<LogPage> {
    return this.#read("read a log", async (session) => {
      const { rows } = await session.send({
        rows: statement(sql.readLog, ...splitLedger(ledger), afterSeq, limit),
      });
      const { bounds, metas, keys } = partsOf(rows);
      return {
        metas,
        keys,
        seq: bounds ? integerOf(bounds, "seq") : Math.max(0, afterSeq),
        more: bounds?.["more"] === true,
        floor: bounds ? integerOf(bounds, "item") : 0,
      };
    });
  }

  heads(ledger: LedgerId): Promise<Heads> {
    return this.#read("read heads", async (session) => {
      const { rows } = await session.send({
        rows: statement(sql.readHeads, ...splitLedger(ledger)),
      });
      const { bounds, metas, keys } = partsOf(rows);
      return { metas, keys, seq: bounds ? integerOf(bounds, "seq") : 0 };
    });
  }

  deleteMetas(ledger: LedgerId, cids: readonly string[]): Promise<number> {
    const names = splitLedger(ledger);
    return this.#run(this.#commits, "delete metas", async (session) => {
      const { rows: [row] } = await session.send({
        begin: statement(sql.begin),
        lock: statement(sql.lockLedger, ...names),
        deletion: statement(sql.deleteMetas, ...names, textArray(cids)),
        rows: statement(sql.findLedger, ...names),
        commit: statement(sql.commit),
      });
      return row ? integerOf(row, "head") : 0;
    });
  }

  findBlobs(
    ledger: LedgerId,
    refs: readonly BlobRef[],
    { bytes = true }: FindBlobsOptions = {},
  ): Promise<readonly StoredBlob[]> {
    if (refs.length === 0) return Promise.resolve([]);
    const [tenant, name] = splitLedger(ledger);
    return this.#read("find blobs", async (session) => {
      const { rows } = await session.send({
        rows: statement(
          bytes ? sql.findBlobsWithBytes : sql.findBlobs,
          textArray(refs.map(() => tenant)),
          textArray(refs.map(() => name)),
          textArray(refs.map((it) => it.store)),
          textArray(refs.map((it) => it.cid)),
        ),
      });
      return rows.toSorted((one, other) => integerOf(one, "at") - integerOf(other, "at"))
        .map(blobOf);
    });
  }

  inventory(ledger: LedgerId, limit: number): Promise<readonly BlobListing[]> {
    return this.#read("list blobs", async (session) => {
      const { rows } = await session.send({
        rows: statement(sql.readInventory, ...splitLedger(ledger), limit),
      });
      return rows.map((row) => ({ ...refOf(row), size: integerOf(row, "size") }));
    });
  }

  getWal(key: WalKey): Promise<WalRecord> {
    return this.#read("read a record", async (session) => {
      const { rows: [row] } = await session.send({
        rows: statement(sql.findWal, ...walNames(key)),
      });
      return row
        ? { version: integerOf(row, "version"), bytes: bytesOf(row, "bytes") }
        : { version: 0, bytes: null };
    });
  }

  putWal(key: WalKey, version: number, bytes: Uint8Array): Promise<CompareAndSet> {
    const names = walNames(key);
    const write = version === 0
      ? statement(sql.insertWal, ...names, bytes)
      : statement(sql.updateWal, ...names, bytes, version);
    return this.#run(this.#others, "write a record", async (session, repeats) => {
      const { written, rows: [row] } = await session.send({
        written: write,
        rows: statement(sql.findWal, ...names),
      });
      if (written[0]) return { done: true, version: integerOf(written[0], "version") };
      const now = row ? integerOf(row, "version") : 0;
      // The first attempt may have written it without our hearing so.
      const isOurs = repeats > 0 && row && now === version + 1 &&
        isSame(bytesOf(row, "bytes"), bytes);
      return { done: isOurs === true, version: now };
    });
  }

  deleteWal(key: WalKey, version: number): Promise<CompareAndSet> {
    const names = walNames(key);
    return this.#run(this.#others, "remove a record", async (session, repeats) => {
      const { deleted, rows: [row] } = await session.send({
        deleted: statement(sql.deleteWal, ...names, version),
        rows: statement(sql.findWal, ...names),
      });
      if (deleted[0]) return { done: true, version: 0 };
      const now = row ? integerOf(row, "version") : 0;
      // As in `putWal`; and what is not there at version 0 counts as removed.
      return { done: now === 0 && (version === 0 || repeats > 0), version: now };
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#commits, this.#others].map((pool) => pool[Symbol.asyncDispose]()));
  }

  #read<T>(attempt: string, work: (session: Session) => Promise<T>): Promise<T> {
    return this.#run(this.#others, attempt, work);
  }

  #run<T>(
    pool: Pool,
    attempt: string,
    work: (session: Session, repeats: number) => Promise<T>,
  ): Promise<T> {
    return repeatLost(
      attempt,
      (repeats) => pool.use(attempt, (session) => work(session, repeats)),
      this.#repeat,
    );
  }
}

/** Takes apart what was read in one statement; the order of rows is ours to make. */
function partsOf(rows: readonly Row[]) {
  const of = (part: string) =>
    rows.filter((row) => row["part"] === part).toSorted((one, other) =>
      integerOf(one, "seq") - integerOf(other, "seq") ||
      integerOf(one, "item") - integerOf(other, "item")
    );
  return {
    bounds: of("bounds")[0],
    metas: of("meta").map(metaOf),
    keys: of("key").map((row) => utf8Of(row, "data")),
  };
}

function blobOf(row: Row): StoredBlob {
  const found = { ...refOf(row), digest: bytesOf(row, "digest"), size: integerOf(row, "size") };
  return row["bytes"] === null ? found : { ...found, bytes: bytesOf(row, "bytes") };
}

function walNames({ ledger, owner, name }: WalKey) {
  return [...splitLedger(ledger), new TextEncoder().encode(owner), name] as const;
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}
