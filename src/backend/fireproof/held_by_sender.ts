/** Which metas wait, by the processes that sent them, as far as this instance has heard. */

import { RecentMap } from "../../base/recent_map.ts";
import type { Meta } from "../../protocol/model.ts";
import type { LedgerId } from "../stores/meta_store.ts";

/** Most senders remembered; of the one that was not heard of for the longest time less is known then. */
const maxSenders = 10_000;

/** Remembers them. */
export class HeldBySender {
  readonly #cids = new RecentMap<ReadonlySet<string>>(maxSenders);

  /** Those of one sender that still wait. */
  of(sender: string, ledger: LedgerId, held: ReadonlyMap<string, Meta>): Set<string> {
    const cids = this.#cids.get(nameOf(sender, ledger)) ?? [];
    return new Set([...cids].filter((cid) => held.has(cid)));
  }

  set(sender: string, ledger: LedgerId, cids: ReadonlySet<string>): void {
    this.#cids.set(nameOf(sender, ledger), cids);
  }
}

function nameOf(sender: string, ledger: LedgerId): string {
  return JSON.stringify([sender, ledger]);
}
