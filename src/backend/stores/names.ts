/** What stores call blobs, where they look them up and in errors. */

import type { BlobRef } from "../../protocol/model.ts";
import type { BlobKey } from "./blob_store.ts";

/** One text for a blob of a ledger, to look it up by. */
export function refKey({ store, cid }: BlobRef): string {
  return `${store}/${cid}`;
}

/** A blob as errors name it. */
export function nameOf({ ledger, store, cid }: BlobKey): string {
  return `blob "${store}/${cid}" of "${ledger}"`;
}
