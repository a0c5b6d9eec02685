/** Commits of the size that a small put makes. */

import { createHash, randomBytes } from "node:crypto";
import { formatCid } from "../../src/protocol/cid.ts";
import type { CommitParams } from "../../src/protocol/method_table.ts";

/** Sizes of what a commit brings. */
export interface SampleSizes {
  /** Bytes of the blob; no blob without it. */
  readonly blobBytes?: number | undefined;
  readonly metaBytes: number;
}

/** What a put of a small document brings. */
export const smallPut: SampleSizes = { blobBytes: 1024, metaBytes: 300 };

const rawCodec = 0x55;

/** Makes commits of one writer, each on top of the one before. */
export function createCommits(
  ledger: string,
  { blobBytes, metaBytes }: SampleSizes,
): () => CommitParams {
  let last: readonly string[] = [];
  return () => {
    const blob = blobBytes === undefined ? undefined : made(blobBytes);
    const meta = made(metaBytes);
    const blobs = blob ? [{ store: "car", cid: blob.cid } as const] : [];
    const commit: CommitParams = {
      ledger,
      blobs: blob ? [{ store: "car", cid: blob.cid, bytes: blob.bytes }] : [],
      metas: [{ cid: meta.cid, parents: last, data: meta.bytes, blobs }],
      keys: [],
      supersedes: last,
      retires: [],
    };
    last = [meta.cid];
    return commit;
  };
}

function made(length: number): { readonly bytes: Uint8Array; readonly cid: string } {
  const bytes = new Uint8Array(randomBytes(length));
  return { bytes, cid: formatCid(rawCodec, createHash("sha256").update(bytes).digest()) };
}
