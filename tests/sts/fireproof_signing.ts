/** Tokens of a Fireproof deployment: good ones, and good ones with something changed. */

import {
  base64url,
  type CryptoKey,
  exportJWK,
  generateKeyPair,
  type JWTHeaderParameters,
  type JWTPayload,
  SignJWT,
} from "jose";
import { base58btc } from "multiformats/bases/base58";
import { importFireproofKeys, parseFireproofKeys } from "../../src/sts/fireproof_keys.ts";
import { assert } from "#assert";

/** When these tests take place. */
export const nowMs = 1_800_000_000_000;
export const now = nowMs / 1000;

/** A key pair, its public key as the environment holds it, and as the server does. */
export async function makeDeployment() {
  const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
  const jwk = await exportJWK(publicKey);
  const env = base58btc.encode(new TextEncoder().encode(JSON.stringify(jwk)));
  const [key] = await importFireproofKeys(parseFireproofKeys(env) ?? []);
  assert(key);
  return { privateKey, publicKey, jwk, env, key };
}

/** Claims as Fireproof's issuer writes them, but for `exp` in seconds. */
export const goodClaims = {
  iss: "fireproof",
  aud: "fireproof",
  iat: now,
  exp: now + 60,
  userId: "alice",
  email: "alice@example.com",
  created: "2026-01-01T00:00:00.000Z",
  tenants: [{ id: "acme", role: "member" }],
  ledgers: [{ id: "todos", role: "member", right: "write" }],
  selected: { tenant: "acme", ledger: "todos" },
};

/** Signs good claims with changes; what is `undefined` is left out. */
export function sign(privateKey: CryptoKey, claims: object = {}, header: object = {}) {
  return new SignJWT(without({ ...goodClaims, ...claims }) as JWTPayload)
    .setProtectedHeader(without({ alg: "ES256", ...header }) as JWTHeaderParameters)
    .sign(privateKey);
}

/** The other good signature of the same text: (r, n − s), which nobody needs a key for. */
export function twinOf(token: string): string {
  const [header = "", payload = "", signature = ""] = token.split(".");
  const bytes = base64url.decode(signature);
  const s = BigInt(`0x${hexOf(bytes.subarray(32))}`);
  const other = (orderOfP256 - s).toString(16).padStart(64, "0");
  bytes.set(Uint8Array.from(other.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16)), 32);
  return `${header}.${payload}.${base64url.encode(bytes)}`;
}

const orderOfP256 = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Members that are `undefined` are meant to be missing. */
function without(object: object): object {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}
