/** Bytes and texts that follow from a name, so that both ends of a test can make the same. */

/** So many bytes, always the same for a name. */
export function bytesOf(name: string, size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  let state = seedOf(name);
  for (let at = 0; at < size; at++) {
    // xorshift32: Marsaglia, "Xorshift RNGs", https://doi.org/10.18637/jss.v008.i14
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[at] = state;
  }
  return bytes;
}

/** A text of so many characters, always the same for a name. */
export function textOf(name: string, length: number): string {
  let text = "";
  for (const byte of bytesOf(name, length)) text += String.fromCharCode(97 + byte % 26);
  return text;
}

/** SHA-256 of bytes, as hex. */
export async function digestOf(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function seedOf(name: string): number {
  let seed = 0x9e3779b9;
  for (let at = 0; at < name.length; at++) seed = Math.imul(seed ^ name.charCodeAt(at), 0x01000193);
  return seed | 1; // Zero would stay zero.
}
