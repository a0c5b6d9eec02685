/** Checks the tokens that the stock client sends: of an existing deployment's keys, or Hearth's own. */

import { hash } from "node:crypto";
import { decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from "jose";
import * as v from "valibot";
import { HearthError } from "../protocol/errors.ts";
import { maxTokenLength } from "../protocol/limits.ts";
import { CheckedTokens } from "./checked_tokens.ts";
import { algorithm, issuer } from "./claims.ts";
import {
  fireproofAudiences,
  fireproofClaimsSchema,
  fireproofIssuers,
  fireproofType,
  toFireproofRights,
  toFireproofTimes,
} from "./fireproof_claims.ts";
import type { FireproofIdentity, VerifyFireproof } from "./fireproof_identity.ts";
import { fireproofAlgorithm, type FireproofKey } from "./fireproof_keys.ts";
import type { VerifyingKey } from "./verify.ts";

/** What is known for ever of a good token. Whether it is in force is another question. */
export interface CheckedFireproofToken {
  readonly identity: FireproofIdentity;
  /** Not in force before, epoch ms. */
  readonly startsAt: number;
}

/** Options of {@linkcode createFireproofVerifier}. */
export interface FireproofVerifierOptions {
  /** Keys of an existing deployment. @default none */
  readonly keys?: readonly FireproofKey[] | undefined;
  /** Hearth's own key. */
  readonly own: VerifyingKey;
  /**
   * Called once for each key whose issuer writes times in milliseconds, with the time for which its
   * token turned out to be good.
   */
  readonly onMilliseconds?: ((key: FireproofKey, lifeMs: number) => void) | undefined;
  /** Epoch ms. @default Date.now */
  readonly now?: (() => number) | undefined;
  /** Where good tokens are remembered. @default a memory of its own */
  readonly checked?: CheckedTokens<CheckedFireproofToken> | undefined;
}

/** How far the clocks of issuer and server may differ. */
const toleranceMs = 5_000;
/** Set before the names of a deployment's users: they are not those whom Hearth's own tokens name. */
const foreignPrefix = "fireproof:";

/** Makes a verifier. Good tokens are remembered, since a signature takes long to check. */
export function createFireproofVerifier(options: FireproofVerifierOptions): VerifyFireproof {
  const { now = Date.now, checked = new CheckedTokens<CheckedFireproofToken>() } = options;
  const warned = new Set<FireproofKey>();
  return async (token) => {
    try {
      checkForm(token);
      const found = checked.find(token) ?? await check(token);
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

  async function check(token: string): Promise<CheckedFireproofToken> {
    const { payload, key } = await checkSignature(token, options);
    const parsed = v.safeParse(fireproofClaimsSchema, payload, { abortEarly: true });
    // The library's own messages quote the claims, which do not belong into a log.
    if (!parsed.success) throw new errors.JWTInvalid("the claims do not have their form");
    const claims = parsed.output;
    const { issuedAt, startsAt, expiresAt, inMilliseconds } = toFireproofTimes(claims);
    if (key && inMilliseconds && !warned.has(key)) {
      warned.add(key);
      options.onMilliseconds?.(key, expiresAt - startsAt);
    }
    return {
      identity: {
        subject: key ? foreignPrefix + claims.userId : claims.userId,
        tokenId: claims.jti ?? digestOf(token),
        issuedAt,
        expiresAt,
        ...toFireproofRights(claims),
      },
      startsAt,
    };
  }
}

/** jose would also take white space and padding, and one token would have many spellings. */
function checkForm(token: string): void {
  if (token.length > maxTokenLength || !/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) {
    throw new errors.JWTInvalid("the token is no compact JWS");
  }
}

/** What a signature vouches for, and by which of the deployment's keys, if it was one. */
interface Vouched {
  readonly payload: JWTPayload;
  readonly key?: FireproofKey;
}

/** A token says which kind it is; each kind has its own algorithm, type, issuers and keys. */
async function checkSignature(token: string, options: FireproofVerifierOptions): Promise<Vouched> {
  const { alg } = decodeProtectedHeader(token);
  if (alg === algorithm) return await checkOwn(token, options.own);
  if (alg === fireproofAlgorithm) return await checkForeign(token, options.keys ?? []);
  throw new errors.JOSEAlgNotAllowed("the algorithm is not allowed");
}

async function checkOwn(token: string, own: VerifyingKey): Promise<Vouched> {
  if (decodeProtectedHeader(token).kid !== own.id) throw new errors.JWKSNoMatchingKey();
  const { payload } = await jwtVerify(token, own.publicKey, {
    algorithms: [algorithm],
    typ: fireproofType,
    issuer,
    audience: [...fireproofAudiences],
    requiredClaims: ["exp", "iat", "jti"],
    ...anyTime,
  });
  return { payload };
}

async function checkForeign(token: string, keys: readonly FireproofKey[]): Promise<Vouched> {
  const { typ } = decodeProtectedHeader(token);
  if (typ !== undefined && typ !== "JWT") throw new errors.JWTInvalid("the token has another type");
  // Its header names no key: each is tried.
  for (const key of keys) {
    try {
      const { payload } = await jwtVerify(token, key.publicKey, {
        algorithms: [fireproofAlgorithm],
        issuer: [...fireproofIssuers],
        audience: [...fireproofAudiences],
        requiredClaims: ["exp"],
        ...anyTime,
      });
      return { payload, key };
    } catch (error) {
      if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error;
    }
  }
  throw new errors.JWSSignatureVerificationFailed();
}

/**
 * Takes the times out of the library's hands, which would read milliseconds as seconds: a token of
 * the far future has begun, and none has ended. {@linkcode checkTimes} looks at them.
 */
const anyTime = { currentDate: new Date(0), clockTolerance: Number.MAX_SAFE_INTEGER };

function checkTimes({ startsAt, identity: { expiresAt } }: CheckedFireproofToken, nowMs: number) {
  if (nowMs < startsAt - toleranceMs) throw new errors.JWTInvalid("the token is of the future");
  if (nowMs >= expiresAt + toleranceMs) throw new errors.JWTInvalid("the token has expired");
}

/** Of what is signed, not of the signature: ECDSA has two good ones for each that is made. */
function digestOf(token: string): string {
  return hash("sha256", token.slice(0, token.lastIndexOf(".")), "base64url");
}
