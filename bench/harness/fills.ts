/** Commits as stores take them, to fill ledgers without a network. */

import { createHash } from "node:crypto";
import type { Commit, MetaStore } from "../../src/backend/stores/meta_store.ts";
import type { CommitParams } from "../../src/protocol/method_table.ts";
import { createCommits, smallPut } from "./samples.ts";

/** Commits of one transaction. */
const batchSize = 250;

/** Makes small puts to a ledger, each of which supersedes the one before, so many at a time. */
export function createFills(ledger: string): (count: number) => readonly Commit[] {
  const next = createCommits(ledger, smallPut);
  return (count) => Array.from({ length: count }, () => toCommit(next()));
}

/** Commits so many of them in large batches. */
export async function fill(
  store: Pick<MetaStore, "commit">,
  fills: (count: number) => readonly Commit[],
  count: number,
): Promise<void> {
  for (let left = count; left > 0; left -= batchSize) {
    await store.commit(fills(Math.min(left, batchSize)));
  }
}

/** What the server makes of a commit that comes over the wire. */
function toCommit(params: CommitParams): Commit {
  const { ledger, blobs = [], metas = [], keys = [], supersedes = [], retires = [] } = params;
  return {
    ledger,
    metas: metas.map(({ parents = [], blobs = [], ...meta }) => ({ ...meta, parents, blobs })),
    keys,
    supersedes,
    retires,
    blobs: blobs.map(({ store, cid, bytes = new Uint8Array() }) => ({
      store,
      cid,
      bytes,
      digest: new Uint8Array(createHash("sha256").update(bytes).digest()),
      size: bytes.length,
    })),
    create: true,
  };
}
