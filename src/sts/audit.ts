/** The audit log: who did what when, each line chained to the one before by its hash. */

import { hash } from "node:crypto";

/** What a line is about. */
export type AuditAction =
  | "token.issued"
  | "token.exchanged"
  | "token.refused"
  | "token.reused"
  | "token.revoked"
  | "invite.made"
  | "invite.accepted"
  | "invite.removed"
  | "right.changed"
  | "member.changed"
  | "tenant.created"
  | "ledger.created"
  | "ledger.exported"
  | "ledger.deleted"
  | "key.rotated"
  | "key.removed"
  | "refresh.removed"
  | "records.forgotten";

/** A line before it has its place. */
export interface AuditDraft {
  /** Epoch ms. */
  readonly at: number;
  readonly action: AuditAction;
  /** Who did it: a subject, or `operator` at the command line. */
  readonly actor: string;
  /** What it was done to: a subject, `tenant`, `tenant/ledger`, the name of a token or key. */
  readonly target: string;
  /** What else belongs to it; never a secret. At most 4 KiB as JSON. */
  readonly detail: Readonly<Record<string, string | number | boolean>>;
}

/** A line of the log. */
export interface AuditEntry extends AuditDraft {
  /** 1, 2, 3 … without gaps. */
  readonly number: number;
  /** {@linkcode chainHash} of the line before it and itself, lower-case hex. */
  readonly hash: string;
}

/** What the first line is chained to. */
export const auditStart = "0".repeat(64);

/** The hash of a line: SHA-256 over the hash before it and its fields as a JSON array. */
export function chainHash(before: string, number: number, draft: AuditDraft): string {
  const { at, action, actor, target } = draft;
  const fields = [before, number, at, action, actor, target, detailText(draft)];
  return hash("sha256", JSON.stringify(fields), "hex");
}

/** The details as they are kept and hashed: by name, so that their order says nothing. */
export function detailText({ detail }: Pick<AuditDraft, "detail">): string {
  const sorted = Object.entries(detail).sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0);
  return JSON.stringify(Object.fromEntries(sorted));
}

/** The first line that does not follow from those before it. */
export interface AuditBreak {
  readonly number: number;
  readonly reason: string;
}

/** Checks that lines follow each other from the start. */
export class AuditVerifier {
  #hash = auditStart;
  #number = 0;

  /** How many lines have been found good, and the hash of the last. */
  get end(): { readonly number: number; readonly hash: string } {
    return { number: this.#number, hash: this.#hash };
  }

  /** Takes the next lines; returns what is wrong, if anything is. */
  take(entries: readonly AuditEntry[]): AuditBreak | undefined {
    for (const entry of entries) {
      const number = this.#number + 1;
      if (entry.number !== number) {
        return { number, reason: `it is missing: the next one there is ${entry.number}` };
      }
      if (entry.hash !== chainHash(this.#hash, number, entry)) {
        return { number, reason: "its hash does not follow from the line before and its fields" };
      }
      this.#number = number;
      this.#hash = entry.hash;
    }
    return undefined;
  }
}
