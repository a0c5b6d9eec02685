/** How stores split and join the names that they key by. */

import type { BlobRef } from "../../protocol/model.ts";
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
