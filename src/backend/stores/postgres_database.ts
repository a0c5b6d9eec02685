/** Readies a Postgres database: at the newest schema, durable at every commit, its history named. */

import * as v from "valibot";
import { HearthError } from "../../protocol/errors.ts";
import { createEpoch, deriveEpoch } from "./epoch.ts";
import { postgresMigrations } from "./migrations/postgres.ts";
import { openSession, type Session, type SessionOptions, statement } from "./postgres_session.ts";
import { integerOf } from "./rows.ts";

/**
 * Brings the database to the newest schema and checks what an acknowledgement rests on.
 *
 * @returns the epoch
 * @throws {HearthError} `UNAVAILABLE` when the schema is of a newer release, or commits would not be
 * durable
 */
export async function readyDatabase(options: SessionOptions, partitions: number): Promise<string> {
  await using session = await openSession(options);
  checkDurability(await readSettings(session));
  await migrate(session, postgresMigrations(partitions));
  return await readEpoch(session);
}

/** Connects, if it is still the history of this epoch. @throws {HearthError} `UNAVAILABLE` if not */
export async function resumeSession(options: SessionOptions, epoch: string): Promise<Session> {
  const session = await openSession(options);
  try {
    const found = await readEpoch(session);
    if (found === epoch) return session;
    throw new HearthError(
      "UNAVAILABLE",
      "Cannot go on with the database: it was restored or failed over since this server started; " +
        "restart the server",
    );
  } catch (error) {
    session.kill();
    throw error;
  }
}

const settingsSchema = v.object({
  fsync: v.string(),
  full_page_writes: v.string(),
  synchronous_commit: v.string(),
});

/** Settings that durability rests on. */
export type DurabilitySettings = Readonly<v.InferOutput<typeof settingsSchema>>;

async function readSettings(session: Session): Promise<DurabilitySettings> {
  const { settings } = await session.send({
    settings: statement(`
      select current_setting('fsync') as fsync,
        current_setting('full_page_writes') as full_page_writes,
        current_setting('synchronous_commit') as synchronous_commit`),
  });
  return v.parse(settingsSchema, settings[0]);
}

/**
 * Refuses a server that acknowledges what a power cut would undo.
 *
 * @throws {HearthError} `UNAVAILABLE`
 */
export function checkDurability(settings: DurabilitySettings): void {
  for (const [name, value] of Object.entries(settings)) {
    if (value === "on") continue;
    throw new HearthError(
      "UNAVAILABLE",
      `Cannot use the database: ${name} is ${value}, so that commits would not outlive a power ` +
        `cut; set ${name} = on in postgresql.conf and reload`,
    );
  }
}

/** Any number that no other user of the database takes for its own locks. */
const migrationLock = "4926741553";

/**
 * Each migration is one transaction with its version number, under a lock, so that servers that start
 * at once take turns and one that dies leaves a whole schema behind.
 */
async function migrate(session: Session, migrations: readonly string[]): Promise<void> {
  await underLock(session, () => prepareSchema(session));
  while (await underLock(session, () => applyNext(session, migrations)));
}

async function underLock<T>(session: Session, work: () => Promise<T>): Promise<T> {
  await session.run("begin");
  // Another server may be at a long migration: that is worth waiting for.
  await session.run(
    `set local lock_timeout = '25s'; select pg_advisory_xact_lock(${migrationLock})`,
  );
  const result = await work();
  await session.run("commit");
  return result;
}

async function prepareSchema(session: Session): Promise<void> {
  const { found } = await session.send({
    found: statement("select to_regclass('hearth.schema_version') is not null as there"),
  });
  if (found[0]?.["there"] === true) return;
  await session.run(`
    create schema if not exists hearth;
    create table hearth.schema_version (version bigint not null);
    insert into hearth.schema_version (version) values (0)`);
}

/** Whether there was one to apply. */
async function applyNext(session: Session, migrations: readonly string[]): Promise<boolean> {
  const { versions } = await session.send({
    versions: statement("select version from schema_version"),
  });
  const version = versions[0] ? integerOf(versions[0], "version") : 0;
  if (version > migrations.length) {
    throw new HearthError(
      "UNAVAILABLE",
      `Cannot use the database: its schema is version ${version}, ` +
        `and this release knows versions up to ${migrations.length}`,
    );
  }
  const migration = migrations[version];
  if (migration === undefined) return false;
  await session.run(`
    set local statement_timeout = 0;
    ${migration}
    insert into history (epoch) select '${createEpoch()}' where not exists (select from history);
    update schema_version set version = ${version + 1}`);
  return true;
}

const historySchema = v.object({
  inRecovery: v.boolean(),
  system: v.string(),
  database: v.string(),
  timeline: v.nullable(v.string()),
  history: v.string(),
});

/**
 * Names what the history depends on: a random text made with the schema, the cluster, its timeline
 * and the database in it. So it changes when a standby takes over, when a backup is recovered from
 * archived logs, and when a dump is loaded into another database or cluster. It does not change when
 * a disk or a virtual machine is set back to a snapshot, when a copy of a stopped cluster is put back,
 * or when rows are restored into the same database: then `delete from hearth.history` and insert a new
 * text before servers start.
 *
 * The timeline is that of the log being written, since the control file tells a new one only after
 * the next checkpoint.
 */
async function readEpoch(session: Session): Promise<string> {
  const { rows } = await session.send({
    rows: statement(`
      select pg_is_in_recovery() as "inRecovery",
        (select system_identifier::text from pg_control_system()) as system,
        (select oid::text from pg_database where datname = current_database()) as database,
        case when not pg_is_in_recovery()
          then substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) end as timeline,
        (select epoch from history) as history`),
  });
  const { inRecovery, ...parts } = v.parse(historySchema, rows[0]);
  if (!inRecovery) return deriveEpoch(JSON.stringify(parts));
  throw new HearthError("UNAVAILABLE", "Cannot use the database: it is a standby, not the primary");
}
