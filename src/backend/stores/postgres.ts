/** The MetaStore for several servers at once: one Postgres database, an fsync before every ack. */

import { type Clock, systemClock } from "../../base/clock.ts";
import {
  type BlobListing,
  type BlobRef,
  type Meta,
  splitLedger,
  type StoreName,
} from "../../protocol/model.ts";
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
  Outcome,
  StoredBlob,
  WalKey,
  WalRecord,
} from "./meta_store.ts";
import { textArray } from "./postgres_arrays.ts";
import { readyDatabase, resumeSession } from "./postgres_database.ts";
import { toHold } from "./postgres_held.ts";
import { Lane } from "./postgres_lane.ts";
import { Pool } from "./postgres_pool.ts";
import { repeatLost, type RepeatOptions } from "./postgres_retry.ts";
import { type Session, type SessionOptions, statement } from "./postgres_session.ts";
import { sql } from "./postgres_sql.ts";
import { createStamp, Writer } from "./postgres_writer.ts";
import {
  bytesOf,
  heldOf,
  integerOf,
  listingOf,
  metaOf,
  refOf,
  type Row,
  textOf,
  utf8Of,
} from "./rows.ts";

/** Options of {@linkcode openPostgres}. */
export interface PostgresOptions extends SessionOptions {
  /** Most connections, of which one is for commits alone. @default 10 */
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
  const open = () => resumeSession(options, epoch);
  return new PostgresStore(epoch, {
    repeat,
    // Apart, so that neither readers nor commits wait for the other's connections.
    lane: new Lane(open),
    pool: new Pool({ ...options, maxSessions: maxConnections - 1, open }),
  });
}

/** Beyond it, planning costs more than splitting saves. */
const maxPartitions = 256;

interface Parts {
  readonly repeat: RepeatOptions & { readonly clock: Clock };
  readonly lane: Lane;
  readonly pool: Pool;
}

class PostgresStore implements MetaStore {
  readonly epoch: string;
  readonly batchesAtOnce = 6;
  readonly #repeat: RepeatOptions;
  readonly #lane: Lane;
  readonly #writer: Writer;
  readonly #pool: Pool;

  constructor(epoch: string, { repeat, lane, pool }: Parts) {
    this.epoch = epoch;
    this.#repeat = repeat;
    this.#lane = lane;
    this.#writer = new Writer({ lane, repeat });
    this.#pool = pool;
  }

  async commit(commits: readonly Commit[]): Promise<readonly Outcome[]> {
    return commits.length === 0 ? [] : await this.#writer.commit(commits);
  }

  bounds(ledger: LedgerId): Promise<LogBounds | undefined> {
    return this.#run("read a ledger", async (session) => {
      const { rows: [row] } = await session.send({
        rows: statement(sql.findLedger, ...splitLedger(ledger)),
      });
      return row && { floor: integerOf(row, "floor"), head: integerOf(row, "head") };
    });
  }

  boundsOf(ledgers: readonly LedgerId[]): Promise<ReadonlyMap<LedgerId, LogBounds>> {
    return this.#run("read ledgers", async (session) => {
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
    return this.#run("read a log", async (session) => {
      const { rows } = await session.send({
        rows: statement(sql.readLog, ...splitLedger(ledger), afterSeq, limit),
      });
      const { bounds, metas, keys, lastKeySeq } = partsOf(rows);
      const seq = bounds ? integerOf(bounds, "seq") : Math.max(0, afterSeq);
      const more = bounds?.["more"] === true;
      return {
        metas,
        keys,
        seq,
        more,
        floor: bounds ? integerOf(bounds, "item") : 0,
        items: bounds && !more && lastKeySeq <= seq ? integerOf(bounds, "items") : undefined,
      };
    });
  }

  heads(ledger: LedgerId): Promise<Heads> {
    return this.#run("read heads", async (session) => {
      const { rows } = await session.send({
        rows: statement(sql.readHeads, ...splitLedger(ledger)),
      });
      const { bounds, metas, keys } = partsOf(rows);
      return { metas, keys, seq: bounds ? integerOf(bounds, "seq") : 0 };
    });
  }

  deleteMetas(ledger: LedgerId, cids: readonly string[]): Promise<number> {
    const names = splitLedger(ledger);
    return this.#lane.enter((place) =>
      repeatLost("delete metas", () =>
        place.alone(async (session) => {
          const { rows: [row] } = await session.send({
            begin: statement(sql.begin),
            lock: statement(sql.lockLedger, ...names),
            deletion: statement(sql.deleteMetas, ...names, textArray(cids), createStamp()),
            rows: statement(sql.findLedger, ...names),
            commit: statement(sql.commit),
          });
          return row ? integerOf(row, "head") : 0;
        }), this.#repeat)
    );
  }

  findBlobs(
    ledger: LedgerId,
    refs: readonly BlobRef[],
    { maxBytes = Number.MAX_SAFE_INTEGER }: FindBlobsOptions = {},
  ): Promise<readonly StoredBlob[]> {
    if (refs.length === 0) return Promise.resolve([]);
    const [tenant, name] = splitLedger(ledger);
    return this.#run("find blobs", async (session) => {
      const { rows } = await session.send({
        rows: statement(
          sql.findBlobs,
          textArray(refs.map(() => tenant)),
          textArray(refs.map(() => name)),
          textArray(refs.map((it) => it.store)),
          textArray(refs.map((it) => it.cid)),
          String(Math.min(maxBytes, Number.MAX_SAFE_INTEGER)),
        ),
      });
      return rows.map(blobOf);
    });
  }

  listBlobs(
    ledger: LedgerId,
    store: StoreName,
    limit: number,
    before?: string,
  ): Promise<readonly BlobListing[] | undefined> {
    const names = [...splitLedger(ledger), store] as const;
    return this.#run("list blobs", async (session) => {
      let olderThan = Number.MAX_SAFE_INTEGER;
      if (before !== undefined) {
        const { last: [last] } = await session.send({
          last: statement(sql.findItem, ...names, before),
        });
        if (!last) return undefined;
        olderThan = integerOf(last, "item");
      }
      const { rows } = await session.send({
        rows: statement(sql.listBlobs, ...names, olderThan, limit),
      });
      return rows.map(listingOf);
    });
  }

  inventory(ledger: LedgerId, limit: number): Promise<readonly BlobListing[]> {
    return this.#run("list blobs", async (session) => {
      const { rows } = await session.send({
        rows: statement(sql.readInventory, ...splitLedger(ledger), limit),
      });
      return rows.map(listingOf);
    });
  }

  hold(ledger: LedgerId, metas: readonly Meta[], limit: number): Promise<boolean> {
    return this.#run("hold metas", async (session) => {
      const { rows } = await session.send({
        written: toHold(ledger, metas, limit),
        rows: statement(sql.readHeld, ...splitLedger(ledger)),
      });
      const held = new Set(rows.map((row) => textOf(row, "cid")));
      return metas.every(({ cid }) => held.has(cid));
    });
  }

  heldMetas(ledger: LedgerId): Promise<readonly Meta[]> {
    return this.#run("read held metas", async (session) => {
      const { rows } = await session.send({
        rows: statement(sql.readHeld, ...splitLedger(ledger)),
      });
      return rows.map(metaOf);
    });
  }

  unhold(ledger: LedgerId, cids: readonly string[]): Promise<void> {
    return this.#run("let go of held metas", async (session) => {
      await session.send({
        deleted: statement(sql.deleteHeld, ...splitLedger(ledger), textArray(cids)),
      });
    });
  }

  heldLedgers(limit: number, after = "/"): Promise<readonly HeldCount[]> {
    return this.#run("read held metas", async (session) => {
      const { rows } = await session.send({
        rows: statement(sql.countHeld, ...splitLedger(after), limit),
      });
      return rows.map(heldOf);
    });
  }

  getWal(key: WalKey): Promise<WalRecord> {
    return this.#run("read a record", async (session) => {
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
    return this.#run("write a record", async (session, repeats) => {
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
    return this.#run("remove a record", async (session, repeats) => {
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
    await Promise.all([this.#lane, this.#pool].map((it) => it[Symbol.asyncDispose]()));
  }

  #run<T>(
    attempt: string,
    work: (session: Session, repeats: number) => Promise<T>,
  ): Promise<T> {
    return repeatLost(
      attempt,
      (repeats) => this.#pool.use(attempt, (session) => work(session, repeats)),
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
  const keys = of("key");
  const lastKey = keys.at(-1);
  return {
    bounds: of("bounds")[0],
    metas: of("meta").map(metaOf),
    keys: keys.map((row) => utf8Of(row, "data")),
    lastKeySeq: lastKey ? integerOf(lastKey, "seq") : 0,
  };
}

function blobOf(row: Row): StoredBlob {
  const found = { ...refOf(row), digest: bytesOf(row, "digest"), size: integerOf(row, "size") };
  if (row["bytes"] !== null) return { ...found, bytes: bytesOf(row, "bytes") };
  return integerOf(row, "kept") === 0 ? found : { ...found, unread: true };
}

function walNames({ ledger, owner, name }: WalKey) {
  return [...splitLedger(ledger), new TextEncoder().encode(owner), name] as const;
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}
