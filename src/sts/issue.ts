/** Makes tokens. */

import { SignJWT } from "jose";
import type { Right } from "../protocol/model.ts";
import { algorithm, audience, issuer, tokenType } from "./claims.ts";
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
  const tenants = new Set(ledgers.map(({ id }) => id.slice(0, id.indexOf("/"))));
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
