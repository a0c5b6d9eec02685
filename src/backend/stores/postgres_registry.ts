/** The Registry for several servers at once, in the Postgres database of their MetaStore. */

import { systemClock } from "../../base/clock.ts";
import { type AuditDraft, type AuditEntry, type AuditPlace, detailText } from "../../sts/audit.ts";
import type {
  RecordKey,
  RecordKind,
  RecordWrite,
  Registry,
  RegistryChanges,
  RegistryRecord,
} from "../../sts/registry.ts";
import { checkWrite, isPossible, possibleKeys } from "./check_registry.ts";
import { planWrite, type RegistryPlan } from "./plan_registry.ts";
import { integerArray, textArray } from "./postgres_arrays.ts";
import { readyDatabase, resumeSession } from "./postgres_database.ts";
import { Pool } from "./postgres_pool.ts";
import { registrySql as sql } from "./postgres_registry_sql.ts";
import { repeatLost, type RepeatOptions } from "./postgres_retry.ts";
import {
  type Session,
  type SessionOptions,
  type Statement,
  statement,
} from "./postgres_session.ts";
import { changesOf, entryOf, recordOf, stateOf } from "./registry_rows.ts";
import { integerOf } from "./rows.ts";

/** Options of {@linkcode openPostgresRegistry}. */
export interface PostgresRegistryOptions extends SessionOptions {
  /** How long a call waits for a free connection before it is refused. @default 5000 */
  readonly maxWaitMs?: number | undefined;
  /** Spreads repeats: a number in [0, 1). @default Math.random */
  readonly random?: (() => number) | undefined;
}

/**
 * Opens the registry, and makes the schema `hearth` when it is not there. It takes three connections at
 * most, of which one is for writes. Calls wait and are repeated as those of the MetaStore are.
 *
 * @throws {HearthError} `UNAVAILABLE` when the database cannot be reached or used
 */
export async function openPostgresRegistry(options: PostgresRegistryOptions): Promise<Registry> {
  const repeat = { clock: options.clock ?? systemClock, random: options.random ?? Math.random };
  const epoch = await repeatLost("open the registry", () => readyDatabase(options, 0), repeat);
  const open = () => resumeSession(options, epoch);
  return new PostgresRegistry(
    repeat,
    new Pool({ ...options, maxSessions: 2, open }),
    // Apart, so that readers do not wait for locks; more would only wait for each other.
    new Pool({ ...options, maxSessions: 1, open }),
  );
}

class PostgresRegistry implements Registry {
  readonly shared = true;
  readonly #repeat: RepeatOptions;
  readonly #reads: Pool;
  readonly #writes: Pool;

  constructor(repeat: RepeatOptions, reads: Pool, writes: Pool) {
    this.#repeat = repeat;
    this.#reads = reads;
    this.#writes = writes;
  }

  get(keys: readonly RecordKey[]): Promise<readonly RegistryRecord[]> {
    return this.#run("read records", this.#reads, async (session) => {
      const { rows } = await session.send({ rows: toFind(possibleKeys(keys)) });
      return rows.map(recordOf);
    });
  }

  list(
    kind: RecordKind,
    tenant: string,
    limit: number,
    after = "",
  ): Promise<readonly RegistryRecord[]> {
    if (!isPossible(tenant) || !isPossible(after)) return Promise.resolve([]);
    return this.#run("list records", this.#reads, async (session) => {
      const { rows } = await session.send({
        rows: statement(sql.listRecords, tenant, kind, after, limit),
      });
      return rows.map(recordOf);
    });
  }

  changes(after: number, limit: number): Promise<RegistryChanges> {
    return this.#run("read changes", this.#reads, async (session) => {
      const { rows } = await session.send({
        rows: statement(sql.readChanges, after, limit + 1),
      });
      const found = rows.filter((row) => row["version"] !== null).map(recordOf)
        .sort((one, other) => one.version - other.version);
      return changesOf(found, limit, integerOf(rows[0] ?? {}, "number"));
    });
  }

  write(writes: readonly RecordWrite[], audit: AuditDraft): Promise<number | undefined> {
    return Promise.try(() => {
      checkWrite(writes, audit);
      const attempt = new Attempt(writes, audit);
      return this.#run("write records", this.#writes, (session) => attempt.make(session));
    });
  }

  audit(after: number, limit: number): Promise<readonly AuditEntry[]> {
    return this.#run("read the audit log", this.#reads, async (session) => {
      const { rows } = await session.send({ rows: statement(sql.readEntries, after, limit) });
      return rows.map(entryOf);
    });
  }

  auditEnd(): Promise<AuditPlace> {
    return this.#run("read the audit log", this.#reads, async (session) => {
      const { rows } = await session.send({ rows: statement(sql.readState) });
      return stateOf(rows[0]).audit;
    });
  }

  sweep(now: number, limit: number): Promise<number> {
    return this.#run("forget records", this.#writes, async (session) => {
      const { gone } = await session.send({
        begin: statement(sql.begin),
        lock: statement(sql.lockState),
        gone: statement(sql.deleteEnded, now, limit),
        commit: statement(sql.commit),
      });
      return gone.length;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#reads, this.#writes].map((it) => it[Symbol.asyncDispose]()));
  }

  #run<T>(attempt: string, pool: Pool, work: (session: Session) => Promise<T>): Promise<T> {
    return repeatLost(attempt, () => pool.use(attempt, work), this.#repeat);
  }
}

/** One write, made as often as its connection is lost and kept once. */
class Attempt {
  readonly #id = crypto.randomUUID();
  readonly #writes: readonly RecordWrite[];
  readonly #audit: AuditDraft;
  /** What was sent at last without hearing what became of it. */
  #sent: RegistryPlan | undefined;

  constructor(writes: readonly RecordWrite[], audit: AuditDraft) {
    this.#writes = writes;
    this.#audit = audit;
  }

  async make(session: Session): Promise<number | undefined> {
    const { state, found, kept } = await session.send({
      begin: statement(sql.begin),
      state: statement(sql.lockState),
      found: toFind(this.#writes),
      // What was sent before has ended when the lock is ours: it has its line in its place, or nothing.
      kept: this.#sent && statement(sql.findEntry, this.#sent.entry.number, this.#id),
    });
    const plan = planWrite(stateOf(state[0]), found.map(recordOf), this.#writes, this.#audit);
    if (kept.length > 0 || !plan) {
      await session.send({ rollback: statement(sql.rollback) });
      return kept.length > 0 ? this.#sent?.number : undefined;
    }
    this.#sent = plan;
    // After a failure of one of them, Postgres makes `commit` a rollback.
    await session.send({ ...toKeep(plan, this.#id), commit: statement(sql.commit) });
    return plan.number;
  }
}

function toFind(keys: readonly RecordKey[]): Statement | undefined {
  return keys.length === 0 ? undefined : statement(sql.findRecords, ...namesOf(keys));
}

function toKeep({ records, entry, number }: RegistryPlan, id: string) {
  const { at, action, actor, target, hash } = entry;
  const detail = detailText(entry);
  return {
    records: records.length === 0 ? undefined : statement(
      sql.setRecords,
      ...namesOf(records),
      integerArray(records.map((it) => it.version)),
      integerArray(records.map((it) => it.endsAt ?? null)),
      textArray(records.map((it) => it.value)),
    ),
    entry: statement(sql.insertEntry, entry.number, at, action, actor, target, detail, hash, id),
    state: statement(sql.setState, number, entry.number, hash),
  };
}

/** Three parameters of type `text[]`. */
function namesOf(keys: readonly RecordKey[]): [tenants: string, kinds: string, names: string] {
  return [
    textArray(keys.map((it) => it.tenant)),
    textArray(keys.map((it) => it.kind)),
    textArray(keys.map((it) => it.name)),
  ];
}
