/** Reads the rows of a registry's tables. */

import type { AuditEntry, AuditPlace } from "../../sts/audit.ts";
import type { RecordKind, RegistryChanges, RegistryRecord } from "../../sts/registry.ts";
import type { RegistryState } from "./plan_registry.ts";
import { integerOf, type Row, textOf } from "./rows.ts";

/** A record. */
export function recordOf(row: Row): RegistryRecord {
  return {
    // A newer release may have written kinds that this one does not know.
    kind: textOf(row, "kind") as RecordKind,
    tenant: textOf(row, "tenant"),
    name: textOf(row, "name"),
    version: integerOf(row, "version"),
    endsAt: row["ends_at"] === null ? undefined : integerOf(row, "ends_at"),
    value: row["value"] === null ? null : textOf(row, "value"),
  };
}

/** A page of changes, of which one row more than its limit was asked for. */
export function changesOf(
  found: readonly RegistryRecord[],
  limit: number,
  end: number,
): RegistryChanges {
  const records = found.slice(0, limit);
  const more = found.length > limit;
  return { records, number: more ? records.at(-1)?.version ?? end : end, more };
}

/** A line of the audit log. */
export function entryOf(row: Row): AuditEntry {
  return {
    number: integerOf(row, "number"),
    at: integerOf(row, "at"),
    action: textOf(row, "action"),
    actor: textOf(row, "actor"),
    target: textOf(row, "target"),
    detail: detailOf(textOf(row, "detail")),
    hash: textOf(row, "hash"),
  };
}

/** Where the registry stands. */
export function stateOf(row: Row = {}): RegistryState {
  const audit: AuditPlace = {
    number: integerOf(row, "audit_number"),
    hash: textOf(row, "audit_hash"),
  };
  return { number: integerOf(row, "number"), audit };
}

/** What was tampered with is told by its hash, and must not keep the other lines from being read. */
function detailOf(text: string): AuditEntry["detail"] {
  try {
    const parsed: unknown = JSON.parse(text);
    return isDetail(parsed) ? parsed : unreadable;
  } catch {
    return unreadable;
  }
}

const unreadable = { unreadable: true };
const detailTypes = ["string", "number", "boolean"];

/** Not by a schema: valibot leaves out names like `__proto__`, and then the hash would be another. */
function isDetail(value: unknown): value is AuditEntry["detail"] {
  return typeof value === "object" && value !== null && !Array.isArray(value) &&
    Object.values(value).every((it) => detailTypes.includes(typeof it));
}
