/** Calls that outlive links: each is sent again until it has an answer that counts. */

import { backoffMs } from "../base/backoff.ts";
import { type Clock, sleep } from "../base/clock.ts";
import { HearthError } from "../protocol/errors.ts";
import type { MethodTable } from "../protocol/method_table.ts";
import type { CallOptions } from "./client.ts";
import type { Connection } from "./connection.ts";
import type { Link } from "./link.ts";
import { createRequest, type Method } from "./request.ts";

/** Options of {@linkcode Calls}. */
export interface CallsOptions {
  readonly connection: Pick<Connection, "link" | "ready" | "refuse" | "signal">;
  readonly clock: Clock;
  readonly random: () => number;
  /** Most calls without an answer. @default 4096 */
  readonly maxPending?: number;
  /** Most bytes of calls without an answer. @default 64 MiB */
  readonly maxPendingBytes?: number;
}

/** Options of {@linkcode Calls.run}. */
export interface RunOptions extends CallOptions {
  /** How large the answer may be. @default 0 */
  readonly expectBytes?: number | undefined;
}

/** The calls of one client. */
export class Calls {
  readonly #connection: CallsOptions["connection"];
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #maxPending: number;
  readonly #maxPendingBytes: number;
  #pending = 0;
  #pendingBytes = 0;

  constructor(options: CallsOptions) {
    this.#connection = options.connection;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#maxPending = options.maxPending ?? 4096;
    this.#maxPendingBytes = options.maxPendingBytes ?? 64 << 20;
  }

  /**
   * Calls a method, over as many links as it takes.
   *
   * @throws {HearthError} an error of the server whose `retry` is `never`; `RATE_LIMITED` at once
   * when too much is pending already
   */
  call<M extends Method>(
    method: M,
    params: MethodTable[M]["params"],
    options: RunOptions = {},
  ): Promise<MethodTable[M]["result"]> {
    return this.run(method, () => params, options);
  }

  /** The same, for a call that asks for something else with each attempt. */
  async run<M extends Method>(
    method: M,
    prepare: (attempt: number) => MethodTable[M]["params"],
    { signal: callerSignal, expectBytes }: RunOptions,
  ): Promise<MethodTable[M]["result"]> {
    const signal = this.#signal(callerSignal);
    signal.throwIfAborted();
    let request = createRequest(method, prepare(0));
    const { length } = request.frame;
    this.#enter(method, length);
    try {
      for (let attempt = 0;; request = createRequest(method, prepare(++attempt))) {
        const link = await this.#connection.ready(signal);
        try {
          return await link.request(request, { signal, expectBytes });
        } catch (error) {
          signal.throwIfAborted();
          await this.#recover(error, link, attempt, signal);
        }
      }
    } finally {
      this.#pending--;
      this.#pendingBytes -= length;
    }
  }

  /**
   * Calls a method on the link there is now, at most once.
   *
   * @throws {HearthError} `CLOSED` when there is none or it ends before the answer
   */
  async once<M extends Method>(
    method: M,
    params: MethodTable[M]["params"],
    options: CallOptions = {},
  ): Promise<MethodTable[M]["result"]> {
    const { link } = this.#connection;
    if (!link) throw new HearthError("CLOSED", `Cannot send ${method}: there is no link now`);
    return await link.request(createRequest(method, params), {
      signal: this.#signal(options.signal),
    });
  }

  #signal(signal: AbortSignal | undefined): AbortSignal {
    const { signal: closed } = this.#connection;
    return signal ? AbortSignal.any([signal, closed]) : closed;
  }

  /** At the bound the caller is told at once: it knows better than a queue what can wait. */
  #enter(method: Method, bytes: number): void {
    const full = this.#pending >= this.#maxPending ||
      (this.#pending > 0 && this.#pendingBytes + bytes > this.#maxPendingBytes);
    if (full) {
      throw new HearthError(
        "RATE_LIMITED",
        `Cannot call ${method}: ${this.#pending} calls of ${this.#pendingBytes} bytes are pending`,
      );
    }
    this.#pending++;
    this.#pendingBytes += bytes;
  }

  /** Waits until another attempt makes sense, or throws when none does. */
  async #recover(error: unknown, link: Link, attempt: number, signal: AbortSignal): Promise<void> {
    if (!(error instanceof HearthError) || error.retry === "never") throw error;
    if (error.retry === "reauth") return this.#connection.refuse(link, error);
    // The connection's own backoff is wait enough.
    if (link.signal.aborted) return;
    const atLeastMs = error.details?.retryAfterMs;
    await sleep(this.#clock, backoffMs(attempt, this.#random(), { atLeastMs }), signal);
  }
}
