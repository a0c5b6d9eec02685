/** The watches of one socket: bounded in number, and together in what they hold. */

import { HearthError } from "../protocol/errors.ts";
import type { OpenedWatch, Services, WatchDesk } from "./handler.ts";
import type { SendQueue } from "./send_queue.ts";
import type { Session } from "./session.ts";
import type { LedgerId } from "./stores/meta_store.ts";
import { Watch } from "./watch.ts";

/** Most watches of one connection. */
export const maxWatches = 1000;

/** Options of {@linkcode Watches}. */
export interface WatchesOptions {
  readonly services: Pick<Services, "hub" | "reads">;
  readonly queue: SendQueue;
  /** Runs something when the answer to the present request has been queued. */
  readonly afterReply: (effect: () => void) => void;
  /** A watch cannot go on: the connection must end. */
  readonly onError: (error: unknown) => void;
}

interface Entry {
  readonly watch: Watch;
  end(): void;
}

/** The watches of one socket. */
export class Watches implements WatchDesk {
  readonly #options: WatchesOptions;
  readonly #entries = new Map<LedgerId, Entry>();
  #lastTurn: Promise<void> = Promise.resolve();

  constructor(options: WatchesOptions) {
    this.#options = options;
  }

  open(ledger: LedgerId): OpenedWatch {
    const { services: { hub, reads }, queue, afterReply, onError } = this.#options;
    this.close(ledger);
    if (this.#entries.size >= maxWatches) {
      throw new HearthError(
        "RATE_LIMITED",
        `Cannot watch "${ledger}": the connection has ${maxWatches} watches already`,
        { details: { retryAfterMs: 1000 } },
      );
    }
    const watch = new Watch(ledger, {
      queue,
      onError,
      takeTurn: (step) => this.#takeTurn(step),
      read: (ledger, after) => reads.after(ledger, after),
    });
    const stopListening = hub.listen(ledger, watch);
    const entry = {
      watch,
      end: () => {
        stopListening();
        watch.close();
      },
    };
    this.#entries.set(ledger, entry);
    return {
      startAfterReply: (position, more) => afterReply(() => watch.start(position, more)),
      close: () => {
        if (this.#entries.get(ledger) === entry) this.close(ledger);
      },
    };
  }

  close(ledger: LedgerId): void {
    this.#entries.get(ledger)?.end();
    this.#entries.delete(ledger);
  }

  closeAll(): void {
    for (const ledger of [...this.#entries.keys()]) this.close(ledger);
  }

  find(ledger: LedgerId): Watch | undefined {
    return this.#entries.get(ledger)?.watch;
  }

  /** Whether a session may go on with all of them. */
  allowedBy(session: Session): boolean {
    return [...this.#entries.keys()].every((ledger) => session.grants.has(ledger));
  }

  #takeTurn(step: () => Promise<void>): Promise<void> {
    const turn = this.#lastTurn.then(async () => {
      await this.#options.queue.drained();
      await step();
    });
    // The next turn comes whatever becomes of this one; its own caller hears of its failure.
    this.#lastTurn = turn.catch(() => {});
    return turn;
  }
}
