/** What all buses have in common: gathering, sending in turns, parsing, and who listens. */

import { setImmediate } from "node:timers";
import { type Clock, pause, systemClock } from "../../base/clock.ts";
import { Backlog } from "./backlog.ts";
import type { Bus, BusCounts, BusListener, BusTold, Hint } from "./bus.ts";
import { decodeMessage, encodeBatch, encodeBeat } from "./message.ts";

/** What carries the messages of a bus. It tells its wire what it brings, and how it fares. */
export interface Link {
  /** Largest message. */
  readonly maxBytes: number;
  /** Sends messages. When it rejects, their hints wait for the next turn; the rest is given up. */
  send(messages: readonly Uint8Array[]): Promise<void>;
  /** Told when a beat of this instance has come back. */
  onBeat?(): void;
  /** Ends the link, behind the last message. Called once. */
  leave(): Promise<void>;
}

/** Time to send what waits when the bus is left. */
const lastSendMs = 1_000;

/** A bus over any link, which is down until {@linkcode Wire.resume}. */
export class Wire implements Bus {
  readonly #link: Link;
  readonly #clock: Clock;
  readonly #instance = crypto.randomUUID();
  readonly #backlog = new Backlog();
  readonly #listeners = new Set<BusListener>();
  readonly #counts = { sent: 0, received: 0, malformed: 0, dropped: 0, gaps: 0 };
  #isUp = false;
  /** How often the link has been found to be up. */
  #resumes = 0;
  /** The sending under way: one at a time, so that what comes meanwhile leaves together. */
  #sending: Promise<void> | undefined;
  /** The end, once it has begun: nothing more is taken. */
  #leaving: Promise<void> | undefined;

  constructor(link: Link, clock: Clock = systemClock) {
    this.#link = link;
    this.#clock = clock;
  }

  get counts(): BusCounts {
    return { ...this.#counts };
  }

  publish(hints: readonly Hint[]): void {
    if (this.#leaving) return;
    for (const hint of hints) this.#countDrop(this.#backlog.addHint(hint));
    this.#wake();
  }

  tell(told: BusTold): void {
    if (this.#leaving) return;
    // While the link is down it would be stale when it left.
    this.#countDrop(this.#isUp && this.#backlog.addTold(told));
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

  [Symbol.asyncDispose](): Promise<void> {
    return this.#leaving ??= this.#leave();
  }

  /** Takes a message that the link has brought. */
  receive(bytes: Uint8Array): void {
    if (this.#leaving) return;
    const message = decodeMessage(bytes);
    if (!message) return void this.#counts.malformed++;
    const { instance, hints, told, beat } = message;
    if (instance === this.#instance) {
      if (beat) this.#link.onBeat?.();
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

  /** Sends what waits, if that goes within a second. */
  async #leave(): Promise<void> {
    const sent = new AbortController();
    const last = this.#sendLast().finally(() => sent.abort());
    await Promise.race([last, pause(this.#clock, lastSendMs, sent.signal)]);
    this.#listeners.clear();
    await this.#link.leave();
  }

  async #sendLast(): Promise<void> {
    await this.#sending;
    if (this.#isUp && !this.#backlog.isEmpty) await this.#send();
  }

  #wake(): void {
    if (!this.#isUp || this.#sending || this.#leaving || this.#backlog.isEmpty) return;
    this.#sending = this.#run();
  }

  async #run(): Promise<void> {
    let failedAt: number | undefined;
    do {
      // What this turn of the loop has yet to publish goes into the same message.
      await new Promise<void>((resolve) => setImmediate(resolve));
      if (this.#leaving) break;
      // After a failure it waits for the link to resume, which may have happened meanwhile.
      const resumes = this.#resumes;
      failedAt = await this.#send() ? undefined : resumes;
    } while (this.#isUp && !this.#backlog.isEmpty && failedAt !== this.#resumes);
    this.#sending = undefined;
  }

  /** @returns whether it was sent */
  async #send(): Promise<boolean> {
    const batch = this.#backlog.take();
    const { messages, dropped } = encodeBatch(this.#instance, batch, this.#link.maxBytes);
    this.#counts.dropped += dropped;
    try {
      await this.#link.send(messages);
      this.#counts.sent += messages.length;
      return true;
    } catch {
      // The link tells of its own failure and resumes. Hints are still true then.
      for (const hint of batch.hints) this.#countDrop(this.#backlog.addHint(hint));
      this.#counts.dropped += batch.told.length;
      return false;
    }
  }

  #countDrop(kept: boolean): void {
    if (!kept) this.#counts.dropped++;
  }
}
