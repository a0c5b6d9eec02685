/** The Ed25519 key that signs tokens: made once, kept as a JWK, loaded ever after. */

import {
  calculateJwkThumbprint,
  type CryptoKey,
  exportJWK,
  generateKeyPair,
  importJWK,
} from "jose";
import * as v from "valibot";
import { algorithm } from "./claims.ts";

const base64url = v.pipe(v.string(), v.regex(/^[\w-]{43}$/));

/** RFC 8037 §2. */
const jwkSchema = v.object({
  kty: v.literal("OKP"),
  crv: v.literal("Ed25519"),
  x: base64url,
  d: base64url,
});

/** A private key as it is kept. */
export type PrivateJwk = v.InferOutput<typeof jwkSchema>;

/** A key ready for use. */
export interface SigningKey {
  /** Thumbprint of the public key (RFC 7638): names it in the header of tokens. */
  readonly id: string;
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
  /** The private scalar: the root from which further secrets are derived. */
  readonly secret: Uint8Array;
}

/** Makes a new key. */
export async function generateJwk(): Promise<PrivateJwk> {
  const { privateKey } = await generateKeyPair(algorithm, { crv: "Ed25519", extractable: true });
  return v.parse(jwkSchema, await exportJWK(privateKey));
}

/**
 * Reads a key that was kept.
 *
 * @throws {TypeError} when it is no private Ed25519 key
 */
export async function importKey(jwk: unknown): Promise<SigningKey> {
  const parsed = v.safeParse(jwkSchema, jwk);
  if (!parsed.success) throw new TypeError("Cannot read the signing key: it is no Ed25519 JWK");
  const { d, ...publicJwk } = parsed.output;
  return {
    id: await calculateJwkThumbprint(publicJwk),
    privateKey: toCryptoKey(await importJWK({ ...publicJwk, d }, algorithm)),
    publicKey: toCryptoKey(await importJWK(publicJwk, algorithm)),
    secret: fromBase64url(d),
  };
}

function toCryptoKey(key: CryptoKey | Uint8Array): CryptoKey {
  // jose gives bytes for symmetric keys alone, which the schema has refused.
  if (key instanceof Uint8Array) {
    throw new TypeError("Cannot read the signing key: it is symmetric");
  }
  return key;
}

function fromBase64url(text: string): Uint8Array {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (char) => char.charCodeAt(0));
}
