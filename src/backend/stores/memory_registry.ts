/** The Registry in memory, for tests: the same semantics, and nothing outlives the process. */

import { Buffer } from "node:buffer";
import { type AuditDraft, type AuditEntry, type AuditPlace, auditStart } from "../../sts/audit.ts";
import type {
  RecordKey,
  RecordKind,
  RecordWrite,
  Registry,
  RegistryChanges,
  RegistryRecord,
} from "../../sts/registry.ts";
import { checkWrite, isPossible, possibleKeys } from "./check_registry.ts";
import { planWrite, recordId } from "./plan_registry.ts";
import { changesOf } from "./registry_rows.ts";

/** Makes an empty Registry. */
export function createMemoryRegistry(): Registry {
  return new MemoryRegistry();
}

class MemoryRegistry implements Registry {
  readonly shared = false;
  readonly #log: AuditEntry[] = [];
  readonly #records = new Map<string, RegistryRecord>();
  #number = 0;

  get(keys: readonly RecordKey[]): Promise<readonly RegistryRecord[]> {
    return Promise.try(() => this.#find(possibleKeys(keys)));
  }

  list(
    kind: RecordKind,
    tenant: string,
    limit: number,
    after = "",
  ): Promise<readonly RegistryRecord[]> {
    if (!isPossible(tenant) || !isPossible(after)) return Promise.resolve([]);
    const found = [...this.#records.values()].filter((it) =>
      it.kind === kind && it.tenant === tenant && it.value !== null && compare(it.name, after) > 0
    );
    return Promise.resolve(
      found.sort((one, other) => compare(one.name, other.name)).slice(0, limit),
    );
  }

  changes(after: number, limit: number): Promise<RegistryChanges> {
    const later = [...this.#records.values()].filter(({ version }) => version > after)
      .sort((one, other) => one.version - other.version);
    return Promise.resolve(changesOf(later, limit, this.#number));
  }

  write(writes: readonly RecordWrite[], audit: AuditDraft): Promise<number | undefined> {
    return Promise.try(() => {
      checkWrite(writes, audit);
      const state = { number: this.#number, audit: this.#log.at(-1) ?? auditStart };
      const plan = planWrite(state, this.#find(writes), writes, audit);
      if (!plan) return undefined;
      for (const record of plan.records) this.#records.set(recordId(record), record);
      this.#log.push(plan.entry);
      this.#number = plan.number;
      return plan.number;
    });
  }

  audit(after: number, limit: number): Promise<readonly AuditEntry[]> {
    return Promise.resolve(this.#log.slice(after, after + limit));
  }

  auditEnd(): Promise<AuditPlace> {
    const { number, hash } = this.#log.at(-1) ?? auditStart;
    return Promise.resolve({ number, hash });
  }

  sweep(now: number, limit: number): Promise<number> {
    const ended = [...this.#records].filter(([, { endsAt }]) =>
      endsAt !== undefined && endsAt <= now
    );
    const gone = ended.slice(0, limit);
    for (const [id] of gone) this.#records.delete(id);
    return Promise.resolve(gone.length);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  #find(keys: readonly RecordKey[]): readonly RegistryRecord[] {
    return keys.flatMap((key) => {
      const found = this.#records.get(recordId(key));
      return found && found.value !== null ? [found] : [];
    });
  }
}

/** As databases sort. */
function compare(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other));
}
