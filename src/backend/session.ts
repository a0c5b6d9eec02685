/** Who is on a connection, and whether they may do what they ask for. */

import { HearthError } from "../protocol/errors.ts";
import type { Access } from "../protocol/methods.ts";
import { type Grants, includesRight } from "../sts/claims.ts";
import type { Identity } from "../sts/verify.ts";
import type { LedgerId } from "./stores/meta_store.ts";

/** An authenticated connection. */
export interface Session {
  readonly id: string;
  readonly subject: string;
  /** When the token ends, epoch ms. */
  readonly expiresAt: number;
  readonly grants: Grants;
}

/** Opens a session for somebody. */
export function openSession(id: string, { subject, expiresAt, grants }: Identity): Session {
  return { id, subject, expiresAt, grants };
}

/**
 * Puts a fresh token in force.
 *
 * @throws {HearthError} `UNAUTHENTICATED` when the token is somebody else's
 */
export function renewSession(session: Session, identity: Identity): Session {
  if (identity.subject !== session.subject) {
    throw new HearthError(
      "UNAUTHENTICATED",
      "Cannot renew the session: the token is for another subject",
    );
  }
  return openSession(session.id, identity);
}

/**
 * The one place that decides: on the claims in force now, for one ledger.
 *
 * @throws {HearthError} `UNAUTHENTICATED`, `FORBIDDEN`
 */
export function authorise(
  session: Session,
  access: Exclude<Access, "none">,
  ledger: LedgerId,
  now: number,
): void {
  if (now >= session.expiresAt) {
    throw new HearthError("UNAUTHENTICATED", `Cannot access "${ledger}": the token has expired`);
  }
  const held = session.grants.get(ledger);
  if (held === undefined || !includesRight(held, access)) {
    // The same whether the ledger exists or not: others' ledgers leave no trace.
    const found = held === undefined ? "nothing on it" : held;
    throw new HearthError(
      "FORBIDDEN",
      `Cannot ${access} "${ledger}": the token grants ${found}`,
    );
  }
}
