/** The Registry in the SQLite file, on the connection of the MetaStore. */

import type { DatabaseSync } from "node:sqlite";
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
import { planWrite, type RegistryState } from "./plan_registry.ts";
import { changesOf, entryOf, recordOf, stateOf } from "./registry_rows.ts";
import type { SqliteConnection } from "./sqlite_connection.ts";
import { type Prepared, prepareStatements } from "./sqlite_sql.ts";

const columns = "tenant, kind, name, version, ends_at, value";

/** One statement an intention; each searches by an index. */
export const registrySql = {
  readState: `
    select number, audit_number, audit_hash from registry where id = 1`,
  setState: `
    update registry set number = ?, audit_number = ?, audit_hash = ? where id = 1`,
  findRecord: `
    select ${columns} from record
    where tenant = ? and kind = ? and name = ? and value is not null`,
  listRecords: `
    select ${columns} from record
    where tenant = ? and kind = ? and name > ? and value is not null order by name limit ?`,
  readChanges: `
    select ${columns} from record where version > ? order by version limit ?`,
  setRecord: `
    insert into record (${columns}) values (?, ?, ?, ?, ?, ?)
    on conflict (tenant, kind, name) do update
    set version = excluded.version, ends_at = excluded.ends_at, value = excluded.value`,
  deleteEnded: `
    delete from record where version in (
      select version from record where ends_at <= ? order by ends_at limit ?
    )`,
  insertEntry: `
    insert into audit (number, at, action, actor, target, detail, hash)
    values (?, ?, ?, ?, ?, ?, ?)`,
  readEntries: `
    select number, at, action, actor, target, detail, hash from audit
    where number > ? order by number limit ?`,
} as const satisfies Record<string, string>;

/** Makes the registry of an open file. */
export function createSqliteRegistry(
  connection: SqliteConnection,
  database: DatabaseSync,
): Registry {
  return new SqliteRegistry(connection, database);
}

class SqliteRegistry implements Registry {
  readonly shared = false;
  readonly #connection: SqliteConnection;
  readonly #sql: Prepared<typeof registrySql>;

  constructor(connection: SqliteConnection, database: DatabaseSync) {
    this.#connection = connection;
    this.#sql = prepareStatements(database, registrySql);
  }

  get(keys: readonly RecordKey[]): Promise<readonly RegistryRecord[]> {
    return this.#connection.read("read records", () => this.#find(possibleKeys(keys)));
  }

  list(
    kind: RecordKind,
    tenant: string,
    limit: number,
    after = "",
  ): Promise<readonly RegistryRecord[]> {
    return this.#connection.read("list records", () => {
      if (!isPossible(tenant) || !isPossible(after)) return [];
      return this.#sql.listRecords.all(tenant, kind, after, limit).map(recordOf);
    });
  }

  changes(after: number, limit: number): Promise<RegistryChanges> {
    return this.#connection.read("read changes", () => {
      const found = this.#sql.readChanges.all(after, limit + 1).map(recordOf);
      return changesOf(found, limit, this.#state().number);
    });
  }

  write(writes: readonly RecordWrite[], audit: AuditDraft): Promise<number | undefined> {
    return this.#connection.write("write records", () => {
      checkWrite(writes, audit);
      const plan = planWrite(this.#state(), this.#find(writes), writes, audit);
      if (!plan) return undefined;
      for (const { tenant, kind, name, version, endsAt = null, value } of plan.records) {
        this.#sql.setRecord.run(tenant, kind, name, version, endsAt, value);
      }
      const { number, at, action, actor, target, hash } = plan.entry;
      const detail = detailText(plan.entry);
      this.#sql.insertEntry.run(number, at, action, actor, target, detail, hash);
      this.#sql.setState.run(plan.number, number, hash);
      return plan.number;
    });
  }

  audit(after: number, limit: number): Promise<readonly AuditEntry[]> {
    return this.#connection.read(
      "read the audit log",
      () => this.#sql.readEntries.all(after, limit).map(entryOf),
    );
  }

  auditEnd(): Promise<AuditPlace> {
    return this.#connection.read("read the audit log", () => this.#state().audit);
  }

  sweep(now: number, limit: number): Promise<number> {
    return this.#connection.write(
      "forget records",
      () => Number(this.#sql.deleteEnded.run(now, limit).changes),
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  #state(): RegistryState {
    return stateOf(this.#sql.readState.get());
  }

  #find(keys: readonly RecordKey[]): readonly RegistryRecord[] {
    return keys.flatMap(({ tenant, kind, name }) =>
      this.#sql.findRecord.all(tenant, kind, name).map(recordOf)
    );
  }
}
