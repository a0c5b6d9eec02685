/** Proves that the audit log is whole. */

import { type AuditBreak, type AuditPlace, AuditVerifier } from "./audit.ts";
import type { Registry } from "./registry.ts";

/** What {@linkcode verifyAudit} found. */
export interface AuditProof {
  /** The last line that is good, behind good ones alone. */
  readonly end: AuditPlace;
  /** The first line that is not. */
  readonly broken: AuditBreak | undefined;
}

/** Lines that are in memory at once. */
const pageSize = 500;

/**
 * Reads the whole log, line by line. Who can write to the database can write a log anew that is whole
 * in itself: against that, note its end elsewhere, and look whether the line is still there.
 */
export async function verifyAudit(
  registry: Pick<Registry, "audit" | "auditEnd">,
): Promise<AuditProof> {
  const verifier = new AuditVerifier();
  for (;;) {
    // Ahead of the lines: what others write meanwhile lies behind it.
    const noted = await registry.auditEnd();
    const entries = await registry.audit(verifier.end.number, pageSize);
    const broken = entries.length > 0 ? verifier.take(entries) : verifier.finish(noted);
    if (broken || entries.length === 0) return { end: verifier.end, broken };
  }
}
