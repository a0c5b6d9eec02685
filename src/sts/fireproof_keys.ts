/** The public keys of an existing Fireproof deployment, as its environment holds them. */

import { calculateJwkThumbprint, type CryptoKey, importJWK } from "jose";
import * as v from "valibot";

/** Algorithm of every signature by these keys: named here, never taken from a token. */
export const fireproofAlgorithm = "ES256";

/** Most keys: a token names none, so that each may have to be tried. */
const maxKeys = 16;
/** Longest text of one key; a P-256 key in base58 has about 200 characters. */
const maxKeyText = 2_048;

const coordinate = v.pipe(v.string(), v.regex(/^[\w-]{43}$/));

/** RFC 7518 §6.2.1. A private key given by mistake is refused: it must not lie about here. */
const jwkSchema = v.pipe(
  v.object({
    kty: v.literal("EC"),
    crv: v.literal("P-256"),
    x: coordinate,
    y: coordinate,
    alg: v.optional(v.literal(fireproofAlgorithm)),
    d: v.optional(v.never()),
  }),
  v.check(({ x, y }) => isOnCurve(toNumber(x), toNumber(y))),
);

const jwksSchema = v.object({ keys: v.pipe(v.array(jwkSchema), v.minLength(1)) });

/** A public key as a deployment writes it down. */
export interface FireproofJwk {
  /** Elliptic curve. */
  readonly kty: "EC";
  /** Which curve. */
  readonly crv: "P-256";
  /** First coordinate, base64url. */
  readonly x: string;
  /** Second coordinate, base64url. */
  readonly y: string;
}

/** A key that checks tokens. */
export interface FireproofKey {
  /** Thumbprint (RFC 7638): names the key in the log. */
  readonly id: string;
  readonly publicKey: CryptoKey;
}

/**
 * Reads `CLOUD_SESSION_TOKEN_PUBLIC`: keys separated by commas, each a JWK or a set of them in base58btc
 * (`z…`) or base64; or one of these as JSON.
 *
 * @returns nothing when it is not of this form
 */
export function parseFireproofKeys(text: string): readonly FireproofJwk[] | undefined {
  const trimmed = text.trim();
  if (trimmed === "") return [];
  const parts = trimmed.startsWith("{") ? [trimmed] : trimmed.split(",").map((it) => it.trim());
  if (parts.length > maxKeys) return undefined;
  const keys: FireproofJwk[] = [];
  for (const part of parts) {
    const found = parseKeys(part);
    if (!found) return undefined;
    keys.push(...found);
  }
  return keys.length <= maxKeys ? keys : undefined;
}

/** Makes keys ready for use. */
export async function importFireproofKeys(
  jwks: readonly FireproofJwk[],
): Promise<readonly FireproofKey[]> {
  return await Promise.all(jwks.map(async ({ kty, crv, x, y }) => {
    const jwk = { kty, crv, x, y };
    const publicKey = await importJWK(jwk, fireproofAlgorithm);
    // jose gives bytes for symmetric keys alone, which the schema has refused.
    return { id: await calculateJwkThumbprint(jwk), publicKey: publicKey as CryptoKey };
  }));
}

function parseKeys(text: string): readonly FireproofJwk[] | undefined {
  const json = text.startsWith("{") ? text : text.length > maxKeyText ? undefined : decode(text);
  if (json === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return undefined; // Whatever it is, it is no key: the caller says so without showing it.
  }
  const set = v.safeParse(jwksSchema, value);
  if (set.success) return set.output.keys;
  const single = v.safeParse(jwkSchema, value);
  return single.success ? [single.output] : undefined;
}

/** Prime and constant of P-256: y² = x³ − 3x + b (FIPS 186-4 D.1.2.3). Deno imports any point. */
const p = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn;
const b = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;

function isOnCurve(x: bigint, y: bigint): boolean {
  return x < p && y < p && (x ** 3n - 3n * x + b - y ** 2n) % p === 0n;
}

function toNumber(coordinate: string): bigint {
  return BigInt(`0x${Array.from(fromBase64(coordinate) ?? [], toHex).join("") || "0"}`);
}

function toHex(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}

/** JSON of a key begins with `{"`, in base64 `ey`: a leading `z` is the mark of base58btc alone. */
function decode(text: string): string | undefined {
  const bytes = text.startsWith("z") ? fromBase58(text.slice(1)) : fromBase64(text);
  return bytes && new TextDecoder().decode(bytes);
}

const base58Digits = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/** The bytes of a number; leading zeros, which no JSON has, are not kept. */
function fromBase58(text: string): Uint8Array | undefined {
  let value = 0n;
  for (const digit of text) {
    const at = base58Digits.indexOf(digit);
    if (at < 0) return undefined;
    value = value * 58n + BigInt(at);
  }
  const hex = value.toString(16);
  const pairs = hex.padStart(hex.length + hex.length % 2, "0").match(/../g) ?? [];
  return Uint8Array.from(pairs, (pair) => Number.parseInt(pair, 16));
}

function fromBase64(text: string): Uint8Array | undefined {
  if (!/^[\w+/-]+={0,2}$/.test(text)) return undefined;
  try {
    const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    return Uint8Array.from(binary, (char) => char.charCodeAt(0));
  } catch {
    return undefined; // A length that base64 does not have.
  }
}
