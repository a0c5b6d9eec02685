/** Cuts a commit into messages that the server takes, of which the last one makes it visible. */

import { encodedLength } from "../protocol/encode.ts";
import { type Limits, maxListItems } from "../protocol/limits.ts";
import type { CommitParams } from "../protocol/method_table.ts";
import type { BlobUpload } from "../protocol/model.ts";

/** Room for the frame around the parameters and for the names of their fields. */
const frameBytes = 256;
/** Room for a blob's fields besides its bytes: store, CID, digest, size. */
const blobFieldBytes = 192;

/** A blob's name in a message: store and CID, and the names of both. */
const refBytes = 96;

/** How many blobs one message can name. */
export function maxRefs({ messageBytes }: Limits): number {
  const fitting = Math.floor((messageBytes - frameBytes) / refBytes);
  return Math.max(1, Math.min(maxListItems, fitting));
}

/** Bytes that a blob adds to a message. */
export function blobFrameBytes(blob: BlobUpload): number {
  return blobFieldBytes + (blob.bytes?.length ?? 0);
}

/**
 * Cuts a commit. Blobs go ahead in as many commits as it takes; the first of them brings the keys,
 * so that nothing is ever stored that nobody can open, and the last one everything.
 */
export function planCommits(commit: CommitParams, messageBytes: number): CommitParams[] {
  const { ledger, keys, blobs = [], ...rest } = commit;
  const room = messageBytes - frameBytes;
  const keyBytes = encodedLength(keys ?? []);
  const lastBytes = keyBytes + encodedLength(rest);

  const plan: CommitParams[] = [];
  let part: BlobUpload[] = [];
  let bytes = keyBytes;
  const flush = () => {
    plan.push(plan.length === 0 ? { ledger, keys, blobs: part } : { ledger, blobs: part });
    part = [];
    bytes = 0;
  };
  for (const blob of blobs) {
    const more = blobFrameBytes(blob);
    if (part.length > 0 && (bytes + more > room || part.length >= maxListItems)) flush();
    part.push(blob);
    bytes += more;
  }
  // What is left goes with the metas if there is room beside them.
  const partBytes = part.reduce((sum, blob) => sum + blobFrameBytes(blob), 0);
  if (part.length > 0 && lastBytes + partBytes > room) flush();
  return [...plan, { ...rest, ledger, keys, blobs: part }];
}
