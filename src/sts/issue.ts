/** Makes tokens. */

import { SignJWT } from "jose";
import { type Right, splitLedger } from "../protocol/model.ts";
import { algorithm, audience, issuer, tokenType } from "./claims.ts";
import { fireproofType } from "./fireproof_claims.ts";
import type { SigningKey } from "./keys.ts";

/** What a token shall say. */
export interface TokenRequest {
  /** For whom. */
  readonly subject: string;
  /** Ledgers, `tenant/ledger`, and the right on each. */
  readonly ledgers: readonly { readonly id: string; readonly right: Right }[];
  /** When it is made, epoch ms. */
  readonly issuedAt: number;
  /** When it ends, epoch ms. */
  readonly expiresAt: number;
}

/** Makes a signed token. */
export function issueToken(key: SigningKey, request: TokenRequest): Promise<string> {
  const { subject, ledgers, issuedAt, expiresAt } = request;
  const tenants = new Set(ledgers.map(({ id }) => splitLedger(id)[0]));
  return new SignJWT({ tenants: [...tenants], ledgers })
    .setProtectedHeader({ alg: algorithm, typ: tokenType, kid: key.id })
    .setIssuer(issuer)
    .setAudience(audience)
    .setSubject(subject)
    .setJti(crypto.randomUUID())
    .setIssuedAt(Math.floor(issuedAt / 1000))
    .setExpirationTime(Math.floor(expiresAt / 1000))
    .sign(key.privateKey);
}

/** What a token for the stock client shall say. */
export interface FireproofTokenRequest extends Omit<TokenRequest, "ledgers"> {
  /** Whose the ledgers are: Fireproof's claims list them without it. */
  readonly tenant: string;
  /** Ledgers without their tenant; the first is the one that the client works with. */
  readonly ledgers: readonly [string, ...string[]];
  readonly right: "read" | "write";
  /** @default made of the subject, at an address that nobody can have */
  readonly email?: string | undefined;
}

/** Makes a signed token with the claims that the stock client demands. */
export function issueFireproofToken(
  key: SigningKey,
  request: FireproofTokenRequest,
): Promise<string> {
  const { subject, tenant, ledgers, right, issuedAt, expiresAt } = request;
  return new SignJWT({
    userId: subject,
    email: request.email ?? toEmail(subject),
    created: new Date(issuedAt).toISOString(),
    tenants: [{ id: tenant, role: "member" }],
    ledgers: ledgers.map((id) => ({ id, role: "member", right })),
    selected: { tenant, ledger: ledgers[0] },
  })
    .setProtectedHeader({ alg: algorithm, typ: fireproofType, kid: key.id })
    .setIssuer(issuer)
    .setAudience("fireproof")
    .setSubject(subject)
    .setJti(crypto.randomUUID())
    .setIssuedAt(Math.floor(issuedAt / 1000))
    .setExpirationTime(Math.floor(expiresAt / 1000))
    .sign(key.privateKey);
}

/** The client takes a token without an e-mail address for none at all (RFC 2606: `.invalid`). */
function toEmail(subject: string): string {
  const name = subject.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 64);
  return `${name.replace(/-$/, "") || "user"}@hearth.invalid`;
}
