/** What registries refuse to keep, so that each database can hold what any other can. */

import { Buffer } from "node:buffer";
import { type AuditDraft, detailText } from "../../sts/audit.ts";
import type { RecordKey, RecordWrite } from "../../sts/registry.ts";
import { recordId } from "./plan_registry.ts";

const maxRecords = 256;
const maxTenantLength = 256;
const maxNameLength = 512;
const maxValueBytes = 16 * 1024;
const maxDetailBytes = 4 * 1024;

/**
 * Those of the keys that a record could have; names come from strangers, and what cannot be kept is not
 * there.
 *
 * @throws {RangeError} when there are more than one call may name
 */
export function possibleKeys<K extends RecordKey>(keys: readonly K[]): readonly K[] {
  checkCount(keys);
  return keys.filter(({ tenant, name }) => isPossible(tenant) && isPossible(name));
}

/** Whether every database can hold this text. */
export function isPossible(text: string): boolean {
  // Postgres keeps no zero characters, and half a surrogate pair comes back as something else.
  return text.isWellFormed() && !text.includes("\0");
}

function checkCount({ length }: readonly RecordKey[]): void {
  if (length <= maxRecords) return;
  throw new RangeError(`Cannot take ${length} records at once: ${maxRecords} are possible`);
}

/** @throws {TypeError | RangeError} naming what is wrong, never what it holds */
export function checkWrite(writes: readonly RecordWrite[], audit: AuditDraft): void {
  checkCount(writes);
  for (const write of writes) checkRecord(write);
  if (new Set(writes.map(recordId)).size < writes.length) {
    throw new TypeError("Cannot write a record twice at once");
  }
  checkDraft(audit);
}

function checkRecord({ kind, tenant, name, value, endsAt }: RecordWrite): void {
  const what = `record of kind "${kind}"`;
  checkText(`tenant of a ${what}`, tenant, maxTenantLength);
  checkText(`name of a ${what}`, name, maxNameLength);
  if (name === "") throw new TypeError(`Cannot keep a ${what}: its name is empty`);
  if (value === null && endsAt === undefined) {
    throw new TypeError(`Cannot remove a ${what}: it needs a time at which it may be forgotten`);
  }
  if (value !== null) checkBytes(`value of a ${what}`, value, maxValueBytes);
  if (endsAt !== undefined) checkTime(`end of a ${what}`, endsAt);
}

function checkDraft(draft: AuditDraft): void {
  const what = `line "${draft.action}" of the audit log`;
  checkTime(`time of a ${what}`, draft.at);
  checkText(`actor of a ${what}`, draft.actor, maxNameLength);
  checkText(`target of a ${what}`, draft.target, maxNameLength);
  for (const [name, value] of Object.entries(draft.detail)) {
    checkWellFormed(`name of a detail of a ${what}`, name);
    if (typeof value === "string") checkWellFormed(`detail of a ${what}`, value);
    if (typeof value !== "number" || Number.isFinite(value)) continue;
    throw new TypeError(`Cannot keep a detail of a ${what}: JSON has no such number`);
  }
  checkBytes(`detail of a ${what}`, detailText(draft), maxDetailBytes);
}

function checkText(what: string, text: string, maxLength: number): void {
  checkWellFormed(what, text);
  if (text.length <= maxLength) return;
  throw new RangeError(
    `Cannot keep the ${what}: it has ${text.length} characters, ${maxLength} are possible`,
  );
}

function checkBytes(what: string, text: string, maxBytes: number): void {
  checkWellFormed(what, text);
  const bytes = Buffer.byteLength(text);
  if (bytes <= maxBytes) return;
  throw new RangeError(`Cannot keep the ${what}: it has ${bytes} bytes, ${maxBytes} are possible`);
}

function checkWellFormed(what: string, text: string): void {
  if (isPossible(text)) return;
  throw new TypeError(
    `Cannot keep the ${what}: it holds a zero character or half a surrogate pair`,
  );
}

function checkTime(what: string, time: number): void {
  if (Number.isSafeInteger(time)) return;
  throw new TypeError(`Cannot keep the ${what}: it is no whole number of milliseconds`);
}
