/** Checks bytes against the digest and size of their key while they pass by. */

import { createHash } from "node:crypto";
import { HearthError } from "../../protocol/errors.ts";
import type { BlobKey } from "./blob_store.ts";
import { nameOf } from "./names.ts";

/** One passage of a blob's bytes. */
export class BlobCheck {
  readonly #digest: Uint8Array;
  readonly #hash = createHash("sha256");
  #left: number;

  constructor({ digest, size }: Pick<BlobKey, "digest" | "size">) {
    this.#digest = digest;
    this.#left = size;
  }

  /** Takes the next piece; false when there are more bytes than the key says. */
  add(piece: Uint8Array): boolean {
    this.#left -= piece.length;
    if (this.#left < 0) return false;
    this.#hash.update(piece);
    return true;
  }

  /** Whether the bytes so far are the whole blob. Ends the check. */
  complete(): boolean {
    if (this.#left !== 0) return false;
    return this.#hash.digest().every((byte, at) => byte === this.#digest[at]);
  }
}

/**
 * Passes on the body of a blob that is to be stored.
 *
 * @throws {HearthError} `DIGEST_MISMATCH` as soon as the bytes are not those of the key: before a
 * piece that is too much, and at the end
 */
export async function* checkBody(
  key: BlobKey,
  body: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, undefined> {
  const check = new BlobCheck(key);
  for await (const piece of body) {
    if (!check.add(piece)) throw mismatch(key, `more than ${key.size} bytes came`);
    yield piece;
  }
  if (!check.complete()) throw mismatch(key, "the bytes have another digest or size");
}

function mismatch(key: BlobKey, found: string): HearthError {
  return new HearthError("DIGEST_MISMATCH", `Cannot store ${nameOf(key)}: ${found}`);
}
