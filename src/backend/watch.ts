/**
 * One watch of one connection. It knows its position, so a gap cannot come about: a live change is
 * sent on only when it follows that position, else what lies between is read from the database.
 */

import type { Listener, LiveChange, Told } from "./hub.ts";
import type { SendQueue } from "./send_queue.ts";
import type { SharedStretch } from "./shared_reads.ts";
import type { LedgerId } from "./stores/meta_store.ts";

/** What a watch needs of its connection. */
export interface WatchDeps {
  readonly queue: Pick<SendQueue, "push" | "answer" | "busy">;
  /** Reads what follows a position; the heads without one. */
  read(ledger: LedgerId, after: number | undefined): Promise<SharedStretch>;
  /**
   * Runs a step when the connection has room, one step at a time for all watches of the connection,
   * so that together they hold one stretch in memory.
   */
  takeTurn(step: () => Promise<void>): Promise<void>;
  /** Called when the watch cannot go on: the connection must end, or its client would be stale. */
  onError(error: unknown): void;
}

/** A live watch. */
export class Watch implements Listener {
  readonly #ledger: LedgerId;
  readonly #deps: WatchDeps;
  /** How far the client has been told; nothing before the watch has been answered. */
  #position: number | undefined;
  /** How far the ledger is known to go. */
  #head = 0;
  #catchingUp = false;
  /** Keys came without metas while nothing could be sent on: no stretch of the log has them. */
  #needsHeads = false;
  #closed = false;

  constructor(ledger: LedgerId, deps: WatchDeps) {
    this.#ledger = ledger;
    this.#deps = deps;
  }

  /** Starts to send, behind the position that the answer has told; `more` lies behind it. */
  start(position: number, more: boolean): void {
    this.#moveTo(position, more);
    this.#settle();
  }

  close(): void {
    this.#closed = true;
  }

  get position(): number | undefined {
    return this.#catchingUp || this.#closed ? undefined : this.#position;
  }

  onChange({ after, seq, frame }: LiveChange): void {
    this.#head = Math.max(this.#head, seq);
    const { position } = this;
    const follows = after === position || (after === undefined && seq > this.#at);
    if (position !== undefined && follows) {
      this.#position = seq;
      this.#deps.queue.push(frame);
      return;
    }
    if (after === seq) this.#needsHeads = true;
    this.#settle();
  }

  onMoved(seq: number): void {
    this.#head = Math.max(this.#head, seq);
    this.#settle();
  }

  onTold(_told: Told, frame: Uint8Array): void {
    // Ephemeral: for a connection that lags behind it is stale already.
    if (this.#position !== undefined && !this.#deps.queue.busy) this.#deps.queue.push(frame);
  }

  get #at(): number {
    return this.#position ?? 0;
  }

  get #behind(): boolean {
    return !this.#closed && (this.#at < this.#head || this.#needsHeads);
  }

  #moveTo(position: number, more: boolean): void {
    this.#position = position;
    if (more) this.#head = Math.max(this.#head, position + 1);
  }

  /** Sees to it that the client gets what it lacks. */
  #settle(): void {
    if (this.#position === undefined || this.#catchingUp || !this.#behind) return;
    this.#catchingUp = true;
    this.#catchUp().catch((error: unknown) => this.#deps.onError(error));
  }

  async #catchUp(): Promise<void> {
    while (this.#behind) {
      await this.#deps.takeTurn(async () => {
        if (this.#closed) return;
        const before = this.#at;
        const fromHeads = this.#needsHeads;
        this.#needsHeads = false;
        const stretch = await this.#deps.read(this.#ledger, fromHeads ? undefined : before);
        const { changes, seq } = stretch;
        if (this.#closed) return;
        if (seq <= before && !changes.reset) {
          throw new Error(`the log of ${this.#ledger} ends at ${before}, not at ${this.#head}`);
        }
        this.#moveTo(seq, changes.more);
        this.#deps.queue.answer(stretch.notice);
      });
    }
    // In the same breath as the check above: a change that comes later finds the watch live.
    this.#catchingUp = false;
  }
}
