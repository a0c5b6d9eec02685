/** Tokens as tests need them: good ones, and good ones with something changed. */

import { type JWTHeaderParameters, type JWTPayload, SignJWT } from "jose";
import { generateJwk, importKey } from "../../src/sts/keys.ts";

/** When these tests take place. */
export const nowMs = 1_800_000_000_000;
export const now = nowMs / 1000;
export const key = await importKey(await generateJwk());
export const other = await importKey(await generateJwk());

export const goodHeader = { alg: "EdDSA", typ: "at+jwt", kid: key.id };
export const goodClaims = {
  iss: "hearth",
  aud: "hearth",
  sub: "alice",
  jti: "t1",
  iat: now,
  exp: now + 60,
  ledgers: [{ id: "acme/todos", right: "write" }],
};

/** Signs good claims with changes; what is `undefined` is left out. */
export function sign(
  claims: object = {},
  header: Partial<JWTHeaderParameters> = {},
  signer = key,
): Promise<string> {
  return new SignJWT(without({ ...goodClaims, ...claims }) as JWTPayload)
    .setProtectedHeader(without({ ...goodHeader, ...header }) as JWTHeaderParameters)
    .sign(signer.privateKey);
}

/** Members that are `undefined` are meant to be missing. */
function without(object: object): object {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}
