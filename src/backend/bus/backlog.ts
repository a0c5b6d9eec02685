/** What waits to be sent on a bus: bounded, and of each ledger the furthest hint alone. */

import type { LedgerId } from "../stores/meta_store.ts";
import type { BusTold, Hint } from "./bus.ts";
import type { Batch } from "./message.ts";

/** Most ledgers that wait. */
const maxHints = 10_000;
/** Most ephemeral messages that wait. */
const maxTold = 256;

/** Collects what is published until it is taken. */
export class Backlog {
  #hints = new Map<LedgerId, Hint>();
  #told: BusTold[] = [];

  get isEmpty(): boolean {
    return this.#hints.size === 0 && this.#told.length === 0;
  }

  /** Adds a hint. @returns whether there was room */
  addHint(hint: Hint): boolean {
    const waiting = this.#hints.get(hint.ledger);
    if (!waiting && this.#hints.size >= maxHints) return false;
    this.#hints.set(hint.ledger, waiting ? mergeHints(waiting, hint) : hint);
    return true;
  }

  /** Adds an ephemeral message. @returns whether there was room */
  addTold(told: BusTold): boolean {
    if (this.#told.length >= maxTold) return false;
    this.#told.push(told);
    return true;
  }

  /** Takes all that waits. */
  take(): Batch {
    const batch = { hints: [...this.#hints.values()], told: this.#told };
    this.#hints = new Map();
    this.#told = [];
    return batch;
  }
}

/** One hint that says what both say. */
function mergeHints(one: Hint, other: Hint): Hint {
  const keys = (one.keys ?? false) || (other.keys ?? false);
  return { ledger: one.ledger, seq: Math.max(one.seq, other.seq), keys };
}
