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
import type { Bus } from "./bus.ts";
import { type Link, Wire } from "./wire.ts";

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
  const link = new PostgresLink(options);
  await link.open();
  return link.wire;
}

/** Time for the farewell to the database. */
const farewellSeconds = 1;
/** Longest pause before the next attempt to link. */
const maxWaitMs = 30_000;

class PostgresLink implements Link {
  /** A payload must be shorter than 8000 bytes, and base64 makes four of three. */
  readonly maxBytes = 5_900;
  readonly wire: Wire;
  readonly #options: PostgresBusOptions;
  readonly #channel: string;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #left = new AbortController();
  /** A connection that listens, made by the driver, and one that notifies. */
  #sql: postgres.Sql | undefined;
  #hasListened = false;
  #relinking: Promise<void> | undefined;
  /** Calls off the next beat, or the wait for the last one. */
  #cancelBeat = (): void => {};

  constructor(options: PostgresBusOptions) {
    this.#options = options;
    this.#channel = options.channel ?? "hearth";
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLog;
    this.wire = new Wire(this, this.#clock);
  }

  /** Makes both connections. */
  async open(): Promise<void> {
    const sql = postgres(this.#options.url, {
      max: 1,
      fetch_types: false,
      max_lifetime: null,
      connect_timeout: this.#beatTimeoutMs / 1000,
      connection: { application_name: "hearth bus" },
      onnotice: () => {},
    });
    this.#sql = sql;
    const opened = new AbortController();
    const timeout = pause(this.#clock, this.#beatTimeoutMs, opened.signal, this.#left.signal)
      .then(() => {
        if (!opened.signal.aborted) throw new Error("it does not answer");
      });
    const listening = sql.listen(
      this.#channel,
      (payload) => this.#receive(sql, payload),
      () => this.#onListening(sql),
    );
    try {
      await Promise.race([listening, timeout]);
    } catch (cause) {
      this.#sql = undefined;
      end(sql);
      throw new HearthError("UNAVAILABLE", "Cannot join the bus: the database does not answer", {
        cause,
      });
    } finally {
      opened.abort();
    }
  }

  async send(messages: readonly Uint8Array[]): Promise<void> {
    const sql = this.#sql;
    if (!sql) throw new Error("the link is down");
    await Promise.all(messages.map((bytes) => this.#notify(sql, bytes)));
  }

  onBeat(): void {
    const sql = this.#sql;
    if (!sql) return;
    this.#cancelBeat();
    this.#cancelBeat = this.#clock.after(this.#options.beatMs ?? 5_000, () => this.#sendBeat(sql));
    // Both ways work: what could not be sent before can be now.
    this.wire.resume();
  }

  async leave(): Promise<void> {
    this.#left.abort();
    this.#cancelBeat();
    await this.#relinking;
    await this.#sql?.end({ timeout: farewellSeconds });
  }

  get #beatTimeoutMs(): number {
    return this.#options.beatTimeoutMs ?? 10_000;
  }

  async #notify(sql: postgres.Sql, bytes: Uint8Array): Promise<void> {
    await sql`select pg_notify(${this.#channel}, ${Buffer.from(bytes).toString("base64")})`;
  }

  #receive(sql: postgres.Sql, payload: string): void {
    if (sql !== this.#sql) return;
    // A payload that is no base64 becomes bytes that are no message.
    this.wire.receive(Buffer.from(payload, "base64"));
  }

  /** The link listens: for the first time, or again after a loss that the driver has mended itself. */
  #onListening(sql: postgres.Sql): void {
    if (sql !== this.#sql || this.#left.signal.aborted) return;
    this.wire.resume();
    if (this.#hasListened) {
      this.#log.info("bus listens again");
      this.wire.gap();
    }
    this.#hasListened = true;
    this.#sendBeat(sql);
  }

  #sendBeat(sql: postgres.Sql): void {
    this.#cancelBeat();
    this.#cancelBeat = this.#clock.after(this.#beatTimeoutMs, () => this.#relink());
    this.#notify(sql, this.wire.beat()).catch((error: unknown) => {
      // The beat will be missed, which is what counts.
      this.#log.debug("bus could not send a beat", errorFields(error));
    });
  }

  #relink(): void {
    this.#relinking ??= this.#makeAnew().finally(() => (this.#relinking = undefined));
  }

  async #makeAnew(): Promise<void> {
    this.#log.warn("bus has lost its link");
    this.wire.suspend();
    if (this.#sql) end(this.#sql);
    this.#sql = undefined;
    for (let attempt = 0; !this.#left.signal.aborted; attempt++) {
      const { random = Math.random } = this.#options;
      const waitMs = backoffMs(attempt, random(), { maxMs: maxWaitMs });
      await pause(this.#clock, waitMs, this.#left.signal);
      if (this.#left.signal.aborted) return;
      try {
        return await this.open();
      } catch (error) {
        this.#log.warn("bus cannot link", { attempt, ...errorFields(error) });
      }
    }
  }
}

/** Ends a link that may be a hole: without a farewell. The driver's own promises then reject. */
function end(sql: postgres.Sql): void {
  void sql.end({ timeout: 0 });
}
