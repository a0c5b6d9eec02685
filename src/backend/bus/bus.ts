/**
 * How the instances of a server tell each other that something has happened. A bus carries hints and
 * never data: whatever it loses, doubles or reorders, the database has the truth and the follower
 * finds it. Every implementation passes `tests/conformance/bus.ts`.
 */

import type { LedgerId } from "../stores/meta_store.ts";

/** A ledger has moved. */
export interface Hint {
  readonly ledger: LedgerId;
  /** The ledger goes at least so far. */
  readonly seq: number;
  /** Keys came without metas: no `seq` tells of them. @default false */
  readonly keys?: boolean | undefined;
}

/** An ephemeral message to the watchers of a ledger. */
export interface BusTold {
  readonly ledger: LedgerId;
  /** The sender's subject, as the instance that took the message has verified it. */
  readonly from: string;
  readonly body: Uint8Array;
}

/** Is told what other instances send. Must not throw. */
export interface BusListener {
  /** Each ledger is named once at most. */
  onHints(hints: readonly Hint[]): void;
  onTold(told: BusTold): void;
  /** Messages may have been lost: whoever follows ledgers looks at all of them again. */
  onGap(): void;
}

/** What a bus has seen, for logs and metrics. */
export interface BusCounts {
  /** Messages sent. */
  readonly sent: number;
  /** Messages of other instances. */
  readonly received: number;
  /** Messages that were none of ours, and were ignored. */
  readonly malformed: number;
  /** Hints and ephemeral messages given up at a bound. */
  readonly dropped: number;
  /** How often the link was lost or doubtful. */
  readonly gaps: number;
}

/** One instance's end of the bus. Disposing it sends what waits and leaves. */
export interface Bus extends AsyncDisposable {
  readonly counts: BusCounts;
  /**
   * Tells the other instances. Never throws and never waits: the hints of one turn of the loop leave
   * together, and of each ledger the furthest alone. While the link is down they wait, up to 10,000
   * ledgers; those beyond are dropped.
   */
  publish(hints: readonly Hint[]): void;
  /**
   * Passes an ephemeral message on, once or never: one that is too large for the bus, or finds 256
   * waiting, is dropped. Never throws and never waits.
   */
  tell(told: BusTold): void;
  /** Calls the listener from now on; returns the function that ends it. */
  subscribe(listener: BusListener): () => void;
}
