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

/** What a line says. */
export interface AuditFacts {
  /** Epoch ms. */
  readonly at: number;
  readonly action: string;
  /** Who did it: a subject, or `operator` at the command line. At most 512 characters. */
  readonly actor: string;
  /**
   * What it was done to: a subject, `tenant`, `tenant/ledger`, the name of a token or key. At most 512
   * characters.
   */
  readonly target: string;
  /** What else belongs to it; never a secret. At most 4 KiB as JSON. */
  readonly detail: Readonly<Record<string, string | number | boolean>>;
}

/** A line before it has its place. */
export interface AuditDraft extends AuditFacts {
  readonly action: AuditAction;
}

/** Where a line stands: its number and its hash. */
export interface AuditPlace {
  /** 1, 2, 3 … without gaps. */
  readonly number: number;
  /** {@linkcode chainHash} of the line before it and itself, lower-case hex. */
  readonly hash: string;
}

/** A line of the log. Its action may be one that only a newer release knows. */
export interface AuditEntry extends AuditFacts, AuditPlace {}

/** What the first line is chained to. */
export const auditStart: AuditPlace = { number: 0, hash: "0".repeat(64) };

/** Gives a line its place behind another. */
export function chainEntry(before: AuditPlace, draft: AuditDraft): AuditEntry {
  const { at, action, actor, target, detail } = draft;
  const number = before.number + 1;
  return { number, at, action, actor, target, detail, hash: chainHash(before.hash, number, draft) };
}

/** The hash of a line: SHA-256 over the hash before it and its fields as a JSON array. */
export function chainHash(before: string, number: number, facts: AuditFacts): string {
  const { at, action, actor, target } = facts;
  const fields = [before, number, at, action, actor, target, detailText(facts)];
  return hash("sha256", JSON.stringify(fields), "hex");
}

/** The details as they are kept and hashed: by name, so that their order says nothing. */
export function detailText({ detail }: Pick<AuditFacts, "detail">): string {
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
  #end = auditStart;

  /** How many lines have been found good, and the hash of the last. */
  get end(): AuditPlace {
    return this.#end;
  }

  /** Takes the next lines; returns what is wrong, if anything is. */
  take(entries: readonly AuditEntry[]): AuditBreak | undefined {
    for (const entry of entries) {
      const number = this.#end.number + 1;
      if (entry.number !== number) {
        return { number, reason: `it is missing: the next one there is ${entry.number}` };
      }
      if (entry.hash !== chainHash(this.#end.hash, number, entry)) {
        return { number, reason: "its hash does not follow from the line before and its fields" };
      }
      this.#end = { number, hash: entry.hash };
    }
    return undefined;
  }

  /** Takes the end as the log itself notes it; returns what is wrong with the last lines. */
  finish(noted: AuditPlace): AuditBreak | undefined {
    const { number, hash } = this.#end;
    if (noted.number > number) {
      return { number: number + 1, reason: `it is missing: the log went up to ${noted.number}` };
    }
    if (noted.number === number && noted.hash === hash) return undefined;
    return { number, reason: `the log notes another end, ${noted.number} with ${noted.hash}` };
  }
}
