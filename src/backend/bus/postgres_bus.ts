/**
 * The bus over Postgres: NOTIFY and LISTEN. A LISTEN connection through a network that has forgotten
 * it stays silent for ever, and the driver does not notice. So the bus sends itself a beat: one that
 * does not come back in time ends both connections, and they are made anew.
 */

import { Buffer } from "node:buffer";
import postgres from "postgres";
import { backoffMs } from "../../base/backoff.ts";
import { type Clock, pause, systemClock } from "../../base/clock.ts";
import { HearthError } from "../../protocol/errors.ts";
import { errorFields, type Log, silentLog } from "../log.ts";
import type { Bus, BusCounts, BusListener, BusTold, Hint } from "./bus.ts";
import { Wire } from "./wire.ts";

/** Options of {@linkcode openPostgresBus}. */
export interface PostgresBusOptions {
  /** `postgres://…`; not through a pooler that gives each transaction another connection. */
  readonly url: string;
  /** Who shares it shares the bus; one for each set of instances. @default "hearth" */
  readonly channel?: string | undefined;
  /** Pause between beats. @default 5000 */
  readonly beatMs?: number | undefined;
  /** How long a beat, or opening a link, may take. @default 10000 */
  readonly beatTimeoutMs?: number | undefined;
  /** @default nothing is logged */
  readonly log?: Log | undefined;
  /** @default the machine's */
  readonly clock?: Clock | undefined;
  /** At least 0, below 1. @default Math.random */
  readonly random?: (() => number) | undefined;
}

/**
 * Joins the bus. Ephemeral messages of more than 5 KiB do not fit into a notification: they reach the
 * watchers of their own instance alone.
 *
 * @throws {HearthError} `UNAVAILABLE` when the database does not answer
 */
export async function openPostgresBus(options: PostgresBusOptions): Promise<Bus> {
  const bus = new PostgresBus(options);
  await bus.open();
  return bus;
}

/** A payload must be shorter than 8000 bytes, and base64 makes four of three. */
const maxBytes = 5_900;
/** Time for the farewell to the database. */
const farewellSeconds = 1;
/** Longest pause before the next attempt to link. */
const maxWaitMs = 30_000;

/** A connection that listens, made by the driver, and one that notifies. */
type Link = postgres.Sql;

class PostgresBus implements Bus {
  readonly #options: PostgresBusOptions;
  readonly #channel: string;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #wire: Wire;
  readonly #closed = new AbortController();
  #link: Link | undefined;
  #hasListened = false;
  #relinking: Promise<void> | undefined;
  /** Calls off the next beat, or the wait for the last one. */
  #cancelBeat = (): void => {};

  constructor(options: PostgresBusOptions) {
    this.#options = options;
    this.#channel = options.channel ?? "hearth";
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLog;
    this.#wire = new Wire({
      maxBytes,
      send: (messages) => this.#send(messages),
      onBeat: () => this.#onBeat(),
    });
  }

  get counts(): BusCounts {
    return this.#wire.counts;
  }

  publish(hints: readonly Hint[]): void {
    this.#wire.publish(hints);
  }

  tell(told: BusTold): void {
    this.#wire.tell(told);
  }

  subscribe(listener: BusListener): () => void {
    return this.#wire.subscribe(listener);
  }

  /** Makes both connections. */
  async open(): Promise<void> {
    const link = postgres(this.#options.url, {
      max: 1,
      fetch_types: false,
      max_lifetime: null,
      connect_timeout: this.#beatTimeoutMs / 1000,
      connection: { application_name: "hearth bus" },
      onnotice: () => {},
    });
    this.#link = link;
    const opened = new AbortController();
    const timeout = pause(this.#clock, this.#beatTimeoutMs, opened.signal, this.#closed.signal)
      .then(() => {
        if (!opened.signal.aborted) throw new Error("it does not answer");
      });
    const listening = link.listen(
      this.#channel,
      (payload) => this.#receive(link, payload),
      () => this.#onListening(link),
    );
    try {
      await Promise.race([listening, timeout]);
    } catch (cause) {
      this.#link = undefined;
      endLink(link);
      throw new HearthError("UNAVAILABLE", "Cannot join the bus: the database does not answer", {
        cause,
      });
    } finally {
      opened.abort();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed.signal.aborted) return;
    await this.#wire.close(this.#clock);
    this.#closed.abort();
    this.#cancelBeat();
    await this.#relinking;
    await this.#link?.end({ timeout: farewellSeconds });
  }

  get #beatTimeoutMs(): number {
    return this.#options.beatTimeoutMs ?? 10_000;
  }

  async #send(messages: readonly Uint8Array[]): Promise<void> {
    const link = this.#link;
    if (!link) throw new Error("the link is down");
    await Promise.all(messages.map((bytes) => this.#notify(link, bytes)));
  }

  async #notify(link: Link, bytes: Uint8Array): Promise<void> {
    await link`select pg_notify(${this.#channel}, ${Buffer.from(bytes).toString("base64")})`;
  }

  #receive(link: Link, payload: string): void {
    if (link !== this.#link) return;
    // A payload that is no base64 becomes bytes that are no message.
    this.#wire.receive(Buffer.from(payload, "base64"));
  }

  /** The link listens: for the first time, or again after a loss that the driver has mended itself. */
  #onListening(link: Link): void {
    if (link !== this.#link || this.#closed.signal.aborted) return;
    this.#wire.resume();
    if (this.#hasListened) {
      this.#log.info("bus listens again");
      this.#wire.gap();
    }
    this.#hasListened = true;
    this.#sendBeat(link);
  }

  #sendBeat(link: Link): void {
    this.#cancelBeat();
    this.#cancelBeat = this.#clock.after(this.#beatTimeoutMs, () => this.#relink());
    this.#notify(link, this.#wire.beat()).catch((error: unknown) => {
      // The beat will be missed, which is what counts.
      this.#log.debug("bus could not send a beat", errorFields(error));
    });
  }

  #onBeat(): void {
    const link = this.#link;
    if (!link) return;
    this.#cancelBeat();
    this.#cancelBeat = this.#clock.after(
      this.#options.beatMs ?? 5_000,
      () => this.#sendBeat(link),
    );
    // Both ways work: what could not be sent before can be now.
    this.#wire.resume();
  }

  #relink(): void {
    this.#relinking ??= this.#makeAnew().finally(() => (this.#relinking = undefined));
  }

  async #makeAnew(): Promise<void> {
    this.#log.warn("bus has lost its link");
    this.#wire.suspend();
    if (this.#link) endLink(this.#link);
    this.#link = undefined;
    for (let attempt = 0; !this.#closed.signal.aborted; attempt++) {
      const { random = Math.random } = this.#options;
      const waitMs = backoffMs(attempt, random(), { maxMs: maxWaitMs });
      await pause(this.#clock, waitMs, this.#closed.signal);
      if (this.#closed.signal.aborted) return;
      try {
        return await this.open();
      } catch (error) {
        this.#log.warn("bus cannot link", { attempt, ...errorFields(error) });
      }
    }
  }
}

/** Ends a link that may be a hole: without a farewell. The driver's own promises then reject. */
function endLink(link: Link): void {
  void link.end({ timeout: 0 });
}
