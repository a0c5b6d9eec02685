/** What a write to a registry does, whatever keeps it. */

import { type AuditDraft, type AuditEntry, type AuditPlace, chainEntry } from "../../sts/audit.ts";
import type { RecordKey, RecordWrite, RegistryRecord } from "../../sts/registry.ts";

/** Where a registry stands. */
export interface RegistryState {
  /** The position of its last write. */
  readonly number: number;
  /** The end of its audit log. */
  readonly audit: AuditPlace;
}

/** What is to be kept, all of it or nothing. */
export interface RegistryPlan {
  readonly records: readonly RegistryRecord[];
  readonly entry: AuditEntry;
  /** The position behind it. */
  readonly number: number;
}

/**
 * Plans a write.
 *
 * @param found those of its records that there are, removed ones left out
 * @returns nothing when one of them is not at the version that it has to have
 */
export function planWrite(
  { number, audit }: RegistryState,
  found: readonly RegistryRecord[],
  writes: readonly RecordWrite[],
  draft: AuditDraft,
): RegistryPlan | undefined {
  const versions = new Map(found.map((record) => [recordId(record), record.version]));
  const isAsTold = (write: RecordWrite) =>
    write.version === undefined || write.version === (versions.get(recordId(write)) ?? 0);
  if (!writes.every(isAsTold)) return undefined;
  const records = writes.map(({ kind, tenant, name, value, endsAt }, at) => ({
    kind,
    tenant,
    name,
    version: number + 1 + at,
    endsAt,
    value,
  }));
  return { records, entry: chainEntry(audit, draft), number: number + records.length };
}

/** One text for a record, to look it up by. */
export function recordId({ tenant, kind, name }: RecordKey): string {
  return JSON.stringify([tenant, kind, name]);
}
