/** Opaque secrets: random texts that mean something to this service alone, which keeps digests of them. */

import { Buffer } from "node:buffer";
import { hash, randomBytes, timingSafeEqual } from "node:crypto";

/** Kinds of secrets, by what they begin with: a leaked one tells what it is, and what to revoke. */
const prefixes = { refresh: "hrt", invite: "hin" } as const;

/** A kind of secret. */
export type OpaqueKind = keyof typeof prefixes;

/** A secret, read: in `place` it is looked for, and the rest must match what is kept there. */
export interface Opaque {
  readonly place: string;
  readonly secret: string;
}

/** 128 random bits. */
export function randomName(): string {
  return randomBytes(16).toString("base64url");
}

/** Writes a secret down for whom it is made. */
export function writeOpaque(kind: OpaqueKind, { place, secret }: Opaque): string {
  return `${prefixes[kind]}.${place}.${secret}`;
}

/** Reads what somebody presents; nothing when it has another form. */
export function readOpaque(kind: OpaqueKind, text: string): Opaque | undefined {
  const match = /^([a-z]{3})\.([\w.-]{1,130})\.([\w-]{22})$/.exec(text);
  const [, prefix, place, secret] = match ?? [];
  if (prefix !== prefixes[kind] || !place || !secret) return undefined;
  return { place, secret };
}

/** What is kept of a secret. */
export function digestOf(secret: string): string {
  return hash("sha256", secret, "base64url");
}

/** Whether a secret is the one of which a digest was kept; how long it takes says nothing. */
export function matches(secret: string, digest: string): boolean {
  const [one, other] = [Buffer.from(digestOf(secret)), Buffer.from(digest)];
  return one.length === other.length && timingSafeEqual(one, other);
}
