/** How stores split and join the names that they key by, and what they call blobs in errors. */

import type { BlobRef } from "../../protocol/model.ts";
import type { BlobKey } from "./blob_store.ts";
import type { LedgerId } from "./meta_store.ts";

/** The tenant and the ledger's own name, which lead every key. */
export function splitLedger(ledger: LedgerId): readonly [tenant: string, name: string] {
  const slash = ledger.indexOf("/");
  return [ledger.slice(0, slash), ledger.slice(slash + 1)];
}

/** One text for a blob of a ledger, to look it up by. */
export function refKey({ store, cid }: BlobRef): string {
  return `${store}/${cid}`;
}

/** A blob as errors name it. */
export function nameOf({ ledger, store, cid }: BlobKey): string {
  return `blob "${store}/${cid}" of "${ledger}"`;
}
