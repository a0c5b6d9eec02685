/**
 * What the token service remembers: who is a member of what, invites, refresh tokens, revocations,
 * and the log of all of it. Every implementation passes `tests/conformance/registry.ts`.
 *
 * Promises: a write is atomic and durable when its promise resolves, together with its line of the
 * audit log; writes have one order, in which whoever follows hears of them, none left out.
 */

import type { AuditDraft, AuditEntry, AuditPlace } from "./audit.ts";

/** What records there are; each kind's value has a schema of its own where it is used. */
export type RecordKind =
  | "tenant"
  | "member"
  | "invite"
  | "refresh"
  | "ticket"
  | "revoked";

/** Names a record. */
export interface RecordKey {
  readonly kind: RecordKind;
  /** Whose it is; empty when it is of no tenant. At most 256 characters. */
  readonly tenant: string;
  /** 1 to 512 characters. Secrets stand here as digests. */
  readonly name: string;
}

/** A record as it is kept. */
export interface RegistryRecord extends RecordKey {
  /**
   * The position of its last write in the order of all writes, 1, 2, 3 … for each record written: so
   * no version comes twice, also when the record was forgotten and made anew.
   */
  readonly version: number;
  /** From when on it may be forgotten, epoch ms; without it, never. */
  readonly endsAt: number | undefined;
  /** JSON, at most 16 KiB; null once it is removed, until it may be forgotten. */
  readonly value: string | null;
}

/** A record as it shall be. */
export interface RecordWrite extends RecordKey {
  /** The version that it must have: 0 when there must be none, or a removed one. Left out: any. */
  readonly version?: number | undefined;
  /** Null removes it. */
  readonly value: string | null;
  /**
   * From when on it may be forgotten, epoch ms. A removal needs one, later than those who follow may
   * need to hear of it.
   */
  readonly endsAt?: number | undefined;
}

/** A stretch of the order of writes. */
export interface RegistryChanges {
  /**
   * In order of `version`; of a record that was written several times, its last write alone. Their
   * kinds may be such as only a newer release knows.
   */
  readonly records: readonly RegistryRecord[];
  /** The stretch reaches so far: below where it was to begin, if what was written has been undone. */
  readonly number: number;
  /** Whether more lies behind. */
  readonly more: boolean;
}

/** The database behind the token service. */
export interface Registry extends AsyncDisposable {
  /** Whether other servers may write to it, so that it must be asked for their changes. */
  readonly shared: boolean;
  /** The records that there are, removed ones left out, in the order asked. At most 256 keys. */
  get(keys: readonly RecordKey[]): Promise<readonly RegistryRecord[]>;
  /** At most `limit` records of one kind and tenant by name (its UTF-8 bytes), behind `after`; removed ones left out. */
  list(
    kind: RecordKind,
    tenant: string,
    limit: number,
    after?: string,
  ): Promise<readonly RegistryRecord[]>;
  /** What was written behind a position, removals included; at most `limit` records. */
  changes(after: number, limit: number): Promise<RegistryChanges>;
  /**
   * Writes all of it, each record once and at most 256, and a line of the audit log, or nothing. One
   * that fails with `UNAVAILABLE` may have been kept.
   *
   * @returns the position behind it; nothing when a record was not at the version that it had to have
   * @throws {TypeError} when a text holds what databases cannot, or a removal has no end
   * @throws {RangeError} when something is longer than it may be
   */
  write(writes: readonly RecordWrite[], audit: AuditDraft): Promise<number | undefined>;
  /** At most `limit` lines of the audit log behind a number, in order. */
  audit(after: number, limit: number): Promise<readonly AuditEntry[]>;
  /** The last line of the audit log, as it is noted apart from the lines; number 0 when there is none. */
  auditEnd(): Promise<AuditPlace>;
  /** Forgets at most `limit` records that have ended; returns how many. */
  sweep(now: number, limit: number): Promise<number>;
}
