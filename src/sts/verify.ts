/** Checks tokens: signature, issuer, audience, times and form, all of them or none. */

import { decodeProtectedHeader, errors, jwtVerify } from "jose";
import * as v from "valibot";
import { HearthError } from "../protocol/errors.ts";
import { maxTokenLength } from "../protocol/limits.ts";
import { CheckedTokens } from "./checked_tokens.ts";
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
  /** The session that the token was issued in (`sid`); none for one that stands alone. */
  readonly session?: string | undefined;
  /** Epoch ms. */
  readonly issuedAt: number;
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

/** A key that signs tokens, as far as checking them needs it. */
export type VerifyingKey = Pick<SigningKey, "id" | "publicKey">;

/** What a token that this key has signed says for ever. Whether it is in force is another question. */
export interface CheckedToken {
  readonly key: VerifyingKey;
  readonly identity: Identity;
  /** Not in force before, epoch ms. */
  readonly startsAt: number;
}

/** Options of {@linkcode createVerifier}. */
export interface VerifierOptions {
  /** Epoch ms. @default Date.now */
  readonly now?: (() => number) | undefined;
  /** Where good tokens are remembered. @default a memory of its own */
  readonly checked?: CheckedTokens<CheckedToken> | undefined;
}

/** How far the clocks of issuer and server may differ. */
const toleranceMs = 5_000;

/**
 * Makes a verifier for tokens that these keys have signed. What cannot change about a good token is
 * remembered, since a signature takes longer to check than a call takes otherwise. What can change is
 * checked at every call: whether the key is still there, and the times.
 *
 * @param keys looked at anew at each call: tokens of a key that is taken out are refused from then on
 */
export function createVerifier(
  keys: readonly VerifyingKey[],
  { now = Date.now, checked = new CheckedTokens() }: VerifierOptions = {},
): Verify {
  return async (token) => {
    try {
      checkForm(token);
      const known = checked.find(token);
      if (known && keys.includes(known.key)) {
        checkTimes(known, now());
        return known.identity;
      }
      const found = await checkSignature(token, keys, now());
      checkTimes(found, now());
      checked.add(token, found);
      return found.identity;
    } catch (cause) {
      throw new HearthError(
        "UNAUTHENTICATED",
        "Cannot accept the token: it is missing, malformed, expired or not meant for this server",
        { cause },
      );
    }
  };
}

/** jose would also take white space and padding, and one token would have many spellings. */
function checkForm(token: string): void {
  if (token.length > maxTokenLength || !/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) {
    throw new errors.JWTInvalid("the token is no compact JWS");
  }
}

/** Checks all that cannot change about a token; the library looks at its times besides. */
async function checkSignature(
  token: string,
  keys: readonly VerifyingKey[],
  nowMs: number,
): Promise<CheckedToken> {
  const { kid } = decodeProtectedHeader(token);
  const key = keys.find(({ id }) => id === kid);
  if (!key) throw new errors.JWKSNoMatchingKey();
  const { payload } = await jwtVerify(token, key.publicKey, {
    algorithms: [algorithm],
    issuer,
    audience,
    typ: tokenType,
    requiredClaims: ["exp", "iat", "sub", "jti"],
    clockTolerance: toleranceMs / 1000,
    currentDate: new Date(nowMs),
  });
  const parsed = v.safeParse(claimsSchema, payload, { abortEarly: true });
  // The library's own messages quote the claims, which do not belong into a log.
  if (!parsed.success) throw new errors.JWTInvalid("the claims do not have their form");
  const claims = parsed.output;
  return {
    key,
    identity: {
      subject: claims.sub,
      tokenId: claims.jti,
      session: claims.sid,
      issuedAt: Math.floor(claims.iat * 1000),
      expiresAt: Math.floor(claims.exp * 1000),
      grants: toGrants(claims),
    },
    startsAt: Math.max(claims.iat, claims.nbf ?? 0) * 1000,
  };
}

function checkTimes({ startsAt, identity: { expiresAt } }: CheckedToken, nowMs: number): void {
  if (nowMs < startsAt - toleranceMs) throw new errors.JWTInvalid("the token is of the future");
  if (nowMs >= expiresAt + toleranceMs) throw new errors.JWTInvalid("the token has expired");
}
