/** What a token says, and which right on which ledger follows from it. */

import * as v from "valibot";
import { ledgerSchema, type Right, splitLedger } from "../protocol/model.ts";

/** Who issues tokens, and for whom. */
export const issuer = "hearth";
export const audience = "hearth";
/** Keeps tokens apart from other JWTs that the same key might sign (RFC 9068 §2.1). */
export const tokenType = "at+jwt";
/** Algorithm of every signature: named here, never taken from a token. */
export const algorithm = "EdDSA";

/** Rights by ledger, `tenant/ledger`. */
export type Grants = ReadonlyMap<string, Right>;

/** A right, as tokens and records name it. */
export const rightSchema = v.picklist(["read", "write", "admin"]);

const name = v.pipe(v.string(), v.minLength(1), v.maxLength(256));
const seconds = v.pipe(v.number(), v.minValue(0), v.maxValue(Number.MAX_SAFE_INTEGER / 1000));

/**
 * Claims of a token: Hearth's own, or Fireproof's, whose further fields say nothing about rights.
 * Not strict, since issuers add claims of their own.
 */
export const claimsSchema = v.object({
  sub: name,
  jti: name,
  sid: v.optional(name),
  iat: seconds,
  exp: seconds,
  nbf: v.optional(seconds),
  tenants: v.optional(v.array(v.union([name, v.object({ id: name })])), []),
  ledgers: v.optional(v.array(v.object({ id: name, right: v.optional(rightSchema, "read") })), []),
  selected: v.optional(v.object({ tenant: v.optional(name) })),
});

/** Parsed claims. */
export type Claims = v.InferOutput<typeof claimsSchema>;

/**
 * Derives the grants. A role on a tenant gives nothing: only ledgers that are named are granted,
 * and a name that could mean two ledgers means none.
 */
export function toGrants(claims: Claims): Grants {
  const tenants = new Set(claims.tenants.map((it) => typeof it === "string" ? it : it.id));
  const grants = new Map<string, Right>();
  for (const { id, right } of claims.ledgers) {
    const ledger = id.includes("/") ? id : qualify(id, tenants, claims.selected?.tenant);
    if (ledger === undefined || !isLedger(ledger)) continue;
    const [tenant] = splitLedger(ledger);
    if (tenants.size > 0 && !tenants.has(tenant)) continue;
    const held = grants.get(ledger);
    if (held === undefined || !includesRight(held, right)) grants.set(ledger, right);
  }
  return grants;
}

/** Whether a text names a ledger, `tenant/ledger`. */
export function isLedger(text: string): boolean {
  return v.is(ledgerSchema, text);
}

/** Whether a text names a right. */
export function isRight(text: string): text is Right {
  return v.is(rightSchema, text);
}

/** Whether somebody who holds one right may do what needs another. */
export function includesRight(held: Right, needed: Right): boolean {
  return strength[held] >= strength[needed];
}

const strength: Readonly<Record<Right, number>> = { read: 1, write: 2, admin: 3 };

/** Fireproof's ledgers come without their tenant: it is the selected one, else the only one. */
function qualify(
  id: string,
  tenants: ReadonlySet<string>,
  selected: string | undefined,
): string | undefined {
  if (selected !== undefined && tenants.has(selected)) return `${selected}/${id}`;
  const [only, second] = tenants;
  return only !== undefined && second === undefined ? `${only}/${id}` : undefined;
}
