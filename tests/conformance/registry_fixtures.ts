/** Where registries of tests lie, and what is written to them. */

import type { AuditDraft } from "../../src/sts/audit.ts";
import type { RecordKey, Registry } from "../../src/sts/registry.ts";

/** Where a registry keeps what it remembers. */
export interface RegistryPlace extends AsyncDisposable {
  /** Whether several may be open at once; else one after the other. */
  readonly together: boolean;
  /** Opens a registry on it. */
  open(): Promise<Registry>;
}

/** One that keeps rows. */
export interface RowsPlace extends RegistryPlace {
  /** Changes rows behind the registries' back, while none is open. */
  tamper(statement: string): Promise<void>;
}

/** Makes an empty place. */
export type MakePlace = () => Promise<RegistryPlace>;

/** A line of the log for tests. */
export function draftOf(target: string, detail: AuditDraft["detail"] = {}): AuditDraft {
  return { at: 1_700_000_000_000, action: "member.changed", actor: "alice", target, detail };
}

/** The key of a member for tests. */
export function memberOf(name: string, tenant = "acme"): RecordKey {
  return { kind: "member", tenant, name };
}
