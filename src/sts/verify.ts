/** Checks tokens: signature, issuer, audience, times and form, all of them or none. */

import { type CryptoKey, errors, jwtVerify } from "jose";
import * as v from "valibot";
import { HearthError } from "../protocol/errors.ts";
import { maxTokenLength } from "../protocol/limits.ts";
import {
  algorithm,
  audience,
  claimsSchema,
  type Grants,
  issuer,
  toGrants,
  tokenType,
} from "./claims.ts";
import type { SigningKey } from "./keys.ts";

/** Who somebody is, and what they may do, until when. */
export interface Identity {
  readonly subject: string;
  /** The token's own name (`jti`). */
  readonly tokenId: string;
  /** Epoch ms. */
  readonly expiresAt: number;
  readonly grants: Grants;
}

/**
 * Checks one token.
 *
 * @throws {HearthError} `UNAUTHENTICATED`, with the same message whatever is wrong; `cause` tells
 */
export type Verify = (token: string) => Promise<Identity>;

/** Options of {@linkcode createVerifier}. */
export interface VerifierOptions {
  /** Epoch ms. @default Date.now */
  readonly now?: (() => number) | undefined;
}

/** How far the clocks of issuer and server may differ. */
const toleranceSeconds = 5;

/** Makes a verifier for tokens that these keys have signed. */
export function createVerifier(
  keys: readonly Pick<SigningKey, "id" | "publicKey">[],
  { now = Date.now }: VerifierOptions = {},
): Verify {
  const byId: ReadonlyMap<string, CryptoKey> = new Map(keys.map((key) => [key.id, key.publicKey]));
  return async (token) => {
    try {
      return await verify(token, byId, now());
    } catch (cause) {
      throw new HearthError(
        "UNAUTHENTICATED",
        "Cannot accept the token: it is missing, malformed, expired or not meant for this server",
        { cause },
      );
    }
  };
}

async function verify(
  token: string,
  keys: ReadonlyMap<string, CryptoKey>,
  nowMs: number,
): Promise<Identity> {
  // jose would also take white space and padding, and one token would have many spellings.
  if (token.length > maxTokenLength || !/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) {
    throw new errors.JWTInvalid("the token is no compact JWS");
  }
  const { payload } = await jwtVerify(token, ({ kid }) => {
    const key = kid === undefined ? undefined : keys.get(kid);
    if (!key) throw new errors.JWKSNoMatchingKey();
    return key;
  }, {
    algorithms: [algorithm],
    issuer,
    audience,
    typ: tokenType,
    requiredClaims: ["exp", "iat", "sub", "jti"],
    clockTolerance: toleranceSeconds,
    currentDate: new Date(nowMs),
  });
  const parsed = v.safeParse(claimsSchema, payload, { abortEarly: true });
  // The library's own messages quote the claims, which do not belong into a log.
  if (!parsed.success) throw new errors.JWTInvalid("the claims do not have their form");
  const claims = parsed.output;
  if (claims.iat > nowMs / 1000 + toleranceSeconds) {
    throw new errors.JWTInvalid("the token was issued in the future");
  }
  return {
    subject: claims.sub,
    tokenId: claims.jti,
    expiresAt: Math.floor(claims.exp * 1000),
    grants: toGrants(claims),
  };
}
