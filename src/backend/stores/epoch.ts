/** Names a new history. */

const alphabet = "abcdefghijklmnopqrstuvwxyz234567";

/** 80 random bits in 16 characters: no two histories ever share one. */
export function createEpoch(): string {
  const random = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(random, (byte) => alphabet[byte % alphabet.length]).join("");
}
