/** Names histories. */

import { createHash } from "node:crypto";

const alphabet = "abcdefghijklmnopqrstuvwxyz234567";

/** 80 random bits in 16 characters: no two histories ever share one. */
export function createEpoch(): string {
  return toName(crypto.getRandomValues(new Uint8Array(16)));
}

/** The name that belongs to a description of a history: another description, another name. */
export function deriveEpoch(description: string): string {
  return toName(createHash("sha256").update(description).digest().subarray(0, 16));
}

function toName(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => alphabet[byte % alphabet.length]).join("");
}
