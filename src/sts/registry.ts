/**
 * What the token service remembers: who is a member of what, invites, refresh tokens, revocations,
 * and the log of all of it. Every implementation passes `tests/conformance/registry.ts`.
 *
 * Promises: a write is atomic and durable when its promise resolves, together with its line of the
 * audit log; writes have one order, in which whoever follows hears of them, none left out.
 */

import type { AuditDraft, AuditEntry } from "./audit.ts";

/** What records there are; each kind's value has a schema of its own where it is used. */
export type RecordKind =
  | "tenant"
  | "member"
  | "right"
  | "invite"
  | "refresh"
  | "ticket"
  | "revoked";

/** Names a record. */
export interface RecordKey {
  readonly kind: RecordKind;
  /** Whose it is; empty when it is of no tenant. */
  readonly tenant: string;
  /** At most 512 characters. Secrets stand here as digests. */
  readonly name: string;
}

/** A record as it is kept. */
export interface RegistryRecord extends RecordKey {
  /** 1, 2, 3 … with each write. */
  readonly version: number;
  /** The position of its last write in the order of all writes. */
  readonly number: number;
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
  /** From when on it may be forgotten, epoch ms. A removal needs one. */
  readonly endsAt?: number | undefined;
}

/** A stretch of the order of writes. */
export interface RegistryChanges {
  /** In order of `number`; of a record that was written several times, its last write alone. */
  readonly records: readonly RegistryRecord[];
  /** The stretch reaches so far. */
  readonly number: number;
  /** Whether more lies behind. */
  readonly more: boolean;
}

/** The database behind the token service. */
export interface Registry extends AsyncDisposable {
  /** Whether other servers may write to it, so that it must be asked for their changes. */
  readonly shared: boolean;
  /** The records that there are, removed ones left out, in the order asked. */
  get(keys: readonly RecordKey[]): Promise<readonly RegistryRecord[]>;
  /** At most `limit` records of one kind and tenant by name, behind `after`; removed ones left out. */
  list(
    kind: RecordKind,
    tenant: string,
    limit: number,
    after?: string,
  ): Promise<readonly RegistryRecord[]>;
  /** What was written behind a position, removals included; at most `limit` records. */
  changes(after: number, limit: number): Promise<RegistryChanges>;
  /**
   * Writes all of it and a line of the audit log, or nothing.
   *
   * @returns the position; nothing when a record was not at the version that it had to have
   */
  write(writes: readonly RecordWrite[], audit: AuditDraft): Promise<number | undefined>;
  /** At most `limit` lines of the audit log behind a number, in order. */
  audit(after: number, limit: number): Promise<readonly AuditEntry[]>;
  /** Forgets at most `limit` records that have ended; returns how many. */
  sweep(now: number, limit: number): Promise<number>;
}
