/** What all buses have in common: gathering, sending in turns, parsing, and who listens. */

import { setImmediate } from "node:timers";
import { type Clock, pause } from "../../base/clock.ts";
import type { BusCounts, BusListener, BusTold, Hint } from "./bus.ts";
import { decodeMessage, encodeBatch, encodeBeat } from "./message.ts";
import { Outbox } from "./outbox.ts";

/** Options of {@linkcode Wire}. */
export interface WireOptions {
  /** Largest message. */
  readonly maxBytes: number;
  /** Sends messages. When it rejects, their hints wait for the next turn; the rest is given up. */
  readonly send: (messages: readonly Uint8Array[]) => Promise<void>;
  /** Told when a beat of this instance has come back. */
  readonly onBeat?: (() => void) | undefined;
}

/** Time to send what waits when the bus is left. */
const lastSendMs = 1_000;

/** The part of a bus that knows messages; whoever holds it knows the link. */
export class Wire {
  readonly #options: WireOptions;
  readonly #instance = crypto.randomUUID();
  readonly #outbox = new Outbox();
  readonly #listeners = new Set<BusListener>();
  readonly #counts = { sent: 0, received: 0, malformed: 0, dropped: 0, gaps: 0 };
  #isUp = false;
  /** How often the link has been found to be up. */
  #resumes = 0;
  #isClosed = false;
  /** The sending under way: one at a time, so that what comes meanwhile leaves together. */
  #sending: Promise<void> | undefined;

  constructor(options: WireOptions) {
    this.#options = options;
  }

  get counts(): BusCounts {
    return { ...this.#counts };
  }

  publish(hints: readonly Hint[]): void {
    if (this.#isClosed) return;
    for (const hint of hints) this.#countDrop(this.#outbox.addHint(hint));
    this.#wake();
  }

  tell(told: BusTold): void {
    // While the link is down it would be stale when it left.
    if (this.#isClosed) return;
    this.#countDrop(this.#isUp && this.#outbox.addTold(told));
    this.#wake();
  }

  subscribe(listener: BusListener): () => void {
    // Not the listener itself: subscribed twice, it is told twice, and each end ends its own.
    const entry: BusListener = {
      onHints: (hints) => listener.onHints(hints),
      onTold: (told) => listener.onTold(told),
      onGap: () => listener.onGap(),
    };
    this.#listeners.add(entry);
    return () => this.#listeners.delete(entry);
  }

  /** Takes a message that the link has brought. */
  receive(bytes: Uint8Array): void {
    if (this.#isClosed) return;
    const message = decodeMessage(bytes);
    if (!message) return void this.#counts.malformed++;
    const { instance, hints, told, beat } = message;
    if (instance === this.#instance) {
      if (beat) this.#options.onBeat?.();
      return;
    }
    if (hints.length + told.length === 0) return;
    this.#counts.received++;
    for (const listener of this.#listeners) {
      if (hints.length > 0) listener.onHints(hints);
      for (const it of told) listener.onTold(it);
    }
  }

  /** A message that comes back to this instance alone, as `onBeat`. */
  beat(): Uint8Array {
    return encodeBeat(this.#instance);
  }

  /** The link is up: what waits is sent. */
  resume(): void {
    this.#isUp = true;
    this.#resumes++;
    this.#wake();
  }

  /** The link is down: hints wait. */
  suspend(): void {
    this.#isUp = false;
  }

  /** Tells the listeners that messages may have been lost. */
  gap(): void {
    this.#counts.gaps++;
    for (const listener of this.#listeners) listener.onGap();
  }

  /** Takes nothing more, and sends what waits, if that goes within a second. */
  async close(clock: Clock): Promise<void> {
    this.#isClosed = true;
    const sent = new AbortController();
    const last = this.#sendLast().finally(() => sent.abort());
    await Promise.race([last, pause(clock, lastSendMs, sent.signal)]);
    this.#listeners.clear();
  }

  async #sendLast(): Promise<void> {
    await this.#sending;
    if (this.#isUp && !this.#outbox.isEmpty) await this.#send();
  }

  #wake(): void {
    if (!this.#isUp || this.#sending || this.#isClosed || this.#outbox.isEmpty) return;
    this.#sending = this.#run();
  }

  async #run(): Promise<void> {
    let failedAt: number | undefined;
    do {
      // What this turn of the loop has yet to publish goes into the same message.
      await new Promise<void>((resolve) => setImmediate(resolve));
      if (this.#isClosed) break;
      // After a failure it waits for the link to resume, which may have happened meanwhile.
      const resumes = this.#resumes;
      failedAt = await this.#send() ? undefined : resumes;
    } while (this.#isUp && !this.#outbox.isEmpty && failedAt !== this.#resumes);
    this.#sending = undefined;
  }

  /** @returns whether it was sent */
  async #send(): Promise<boolean> {
    const { hints, told } = this.#outbox.take();
    const { messages, dropped } = encodeBatch(
      this.#instance,
      { hints, told },
      this.#options.maxBytes,
    );
    this.#counts.dropped += dropped;
    try {
      await this.#options.send(messages);
      this.#counts.sent += messages.length;
      return true;
    } catch {
      // The link tells of its own failure and resumes. Hints are still true then.
      for (const hint of hints) this.#countDrop(this.#outbox.addHint(hint));
      this.#counts.dropped += told.length;
      return false;
    }
  }

  #countDrop(kept: boolean): void {
    if (!kept) this.#counts.dropped++;
  }
}
