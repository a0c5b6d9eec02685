/** Who tells watchers what this instance has done: it alone, or the follower with other instances. */

import type { Bus } from "./bus/bus.ts";
import type { Follower } from "./bus/follower.ts";
import type { Hub, Listener, Told } from "./hub.ts";
import type { Commit, Done, LedgerId, MetaStore } from "./stores/meta_store.ts";

/** Is told what has become durable here, and what is to be passed on. */
export interface Publisher {
  /** A commit was kept; called in the order of `seq` within a ledger. Does not throw. */
  committed(commit: Commit, done: Done): void;
  /** Metas were taken out, which made the ledger go as far as `seq`. */
  deleted(ledger: LedgerId, seq: number): Promise<void>;
  /** An ephemeral message came from `sender`, who is not told it again. */
  told(ledger: LedgerId, told: Told, sender: Listener | undefined): void;
}

/** For an instance that has its database to itself: what it commits is all there is. */
export function publishAlone(hub: Hub, metaStore: Pick<MetaStore, "heads">): Publisher {
  return {
    committed: (commit, done) => hub.publish(commit, done),
    deleted: async (ledger) => hub.publishHeads(ledger, await metaStore.heads(ledger)),
    told: (ledger, told, sender) => hub.tell(ledger, told, sender),
  };
}

/** For one of several instances: what it commits is a hint to the others, and to itself at need. */
export function publishTogether(hub: Hub, bus: Bus, follower: Follower): Publisher {
  return {
    committed: (commit, done) => {
      // Also one that brings no news: with it the follower counts on.
      const isTold = follower.tell(commit, done);
      const { seq, fresh, keys } = done;
      if (fresh.length === 0 && keys.length === 0) return;
      const hints = [{ ledger: commit.ledger, seq, keys: fresh.length === 0 }];
      bus.publish(hints);
      if (!isTold) follower.onHints(hints);
    },
    deleted: (ledger, seq) => {
      const hints = [{ ledger, seq }];
      bus.publish(hints);
      follower.onHints(hints);
      return Promise.resolve();
    },
    told: (ledger, told, sender) => {
      bus.tell({ ledger, ...told });
      hub.tell(ledger, told, sender);
    },
  };
}
