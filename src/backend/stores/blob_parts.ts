/** Cuts a blob's body into parts of one size, and checks the whole on the way. */

import { checkBody } from "./blob_check.ts";
import type { BlobKey } from "./blob_store.ts";

/**
 * The parts, each of `partBytes` and the last of the rest; one empty part for an empty blob. The
 * last part comes only when the bytes are those of the key. One part is in memory at a time.
 *
 * @throws {HearthError} `DIGEST_MISMATCH` when the bytes are not those of the key
 */
export async function* cutParts(
  key: BlobKey,
  body: AsyncIterable<Uint8Array>,
  partBytes: number,
): AsyncGenerator<Uint8Array<ArrayBuffer>, undefined> {
  let left = key.size;
  let part = new Uint8Array(Math.min(partBytes, left));
  let filled = 0;
  for await (const piece of checkBody(key, body)) {
    for (let at = 0; at < piece.length;) {
      const step = Math.min(piece.length - at, part.length - filled);
      part.set(piece.subarray(at, at + step), filled);
      at += step;
      filled += step;
      left -= step;
      if (filled === part.length && left > 0) {
        yield part;
        part = new Uint8Array(Math.min(partBytes, left));
        filled = 0;
      }
    }
  }
  yield part;
}
