/** Cuts a blob's body into parts of one size, and checks the whole on the way. */

import { HearthError } from "../../protocol/errors.ts";
import { BlobCheck } from "./blob_check.ts";
import type { BlobKey } from "./blob_store.ts";

/**
 * The parts, each of `partBytes` and the last of the rest; one empty part for an empty blob. The
 * last part comes only when the bytes are those of the key. One part is in memory at a time.
 *
 * @param name the blob's name, for errors
 * @throws {HearthError} `DIGEST_MISMATCH` when the bytes are not those of the key
 */
export async function* cutParts(
  key: BlobKey,
  body: AsyncIterable<Uint8Array>,
  partBytes: number,
  name: string,
): AsyncGenerator<Uint8Array<ArrayBuffer>, undefined> {
  const check = new BlobCheck(key);
  let left = key.size;
  let part = new Uint8Array(Math.min(partBytes, left));
  let filled = 0;
  for await (const piece of body) {
    if (!check.add(piece)) {
      throw new HearthError(
        "DIGEST_MISMATCH",
        `Cannot store ${name}: more than ${key.size} bytes came`,
      );
    }
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
  if (!check.complete()) {
    throw new HearthError(
      "DIGEST_MISMATCH",
      `Cannot store ${name}: the bytes have another digest or size`,
    );
  }
  yield part;
}
