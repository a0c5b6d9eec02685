/** Checks bytes against the digest and size of their key while they pass by. */

import { createHash } from "node:crypto";
import type { BlobKey } from "./blob_store.ts";

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
