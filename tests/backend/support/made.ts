/** Metas and blobs as a client makes them. */

import { createHash } from "node:crypto";
import { formatCid } from "../../../src/protocol/cid.ts";
import type { BlobRef, Meta, StoreName } from "../../../src/protocol/model.ts";

/** SHA-256. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("sha256").update(bytes).digest());
}

/** A meta whose data says this. */
export function makeMeta(text: string, blobs: readonly BlobRef[] = []): Meta {
  const data = new TextEncoder().encode(text);
  return { cid: formatCid(0x71, sha256(data)), parents: [], data, blobs };
}

/** A blob with bytes, and its name alone. */
export interface MadeBlob {
  readonly ref: BlobRef;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly digest: Uint8Array;
  readonly upload: BlobRef & { readonly bytes: Uint8Array };
}

/** A blob of this size, different for each seed. */
export function makeBlob(seed: number, size: number, store: StoreName = "car"): MadeBlob {
  const bytes = Uint8Array.from(
    { length: size },
    (_, at) => (at * 31 + seed * 7 + (at >> 8)) & 255,
  );
  if (size > 0) bytes[0] = seed;
  const digest = sha256(bytes);
  // As with encrypted content: the CID is that of something else.
  const cid = formatCid(0x71, sha256(digest));
  const ref = { store, cid };
  return { ref, bytes, digest, upload: { ...ref, bytes } };
}
