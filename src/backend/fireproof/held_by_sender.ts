/** Which metas wait, by the processes that sent them, as far as this instance has heard. */

import type { Meta } from "../../protocol/model.ts";
import type { LedgerId } from "../stores/meta_store.ts";

/** Most senders remembered; of the one that was not heard of for the longest time less is known then. */
const maxSenders = 10_000;

/** Remembers them. */
export class HeldBySender {
  readonly #cids = new Map<string, Set<string>>();

  /** Those of one sender that still wait. */
  of(sender: string, ledger: LedgerId, held: ReadonlyMap<string, Meta>): Set<string> {
    const cids = this.#cids.get(nameOf(sender, ledger)) ?? [];
    return new Set([...cids].filter((cid) => held.has(cid)));
  }

  set(sender: string, ledger: LedgerId, cids: Set<string>): void {
    const name = nameOf(sender, ledger);
    this.#cids.delete(name);
    this.#cids.set(name, cids);
    const [oldest] = this.#cids.keys();
    if (this.#cids.size > maxSenders && oldest !== undefined) this.#cids.delete(oldest);
  }
}

function nameOf(sender: string, ledger: LedgerId): string {
  return JSON.stringify([sender, ledger]);
}
