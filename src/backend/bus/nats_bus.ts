/** The bus over NATS: core subjects, at most once, which is all that a hint needs. */

import { connect, type NatsConnection } from "@nats-io/transport-node";
import { systemClock } from "../../base/clock.ts";
import { HearthError } from "../../protocol/errors.ts";
import { errorFields, type Log, silentLog } from "../log.ts";
import type { Bus, BusCounts, BusListener, BusTold, Hint } from "./bus.ts";
import { Wire } from "./wire.ts";

/** Options of {@linkcode openNatsBus}. */
export interface NatsBusOptions {
  /** `host:port` or `nats://…` of each server of the cluster. */
  readonly servers: readonly string[];
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  readonly token?: string | undefined;
  /** Who shares it shares the bus: letters, digits, `_` and `-`. @default "hearth" */
  readonly channel?: string | undefined;
  /** Pause between pings; two that stay unanswered end the connection. @default 5000 */
  readonly pingMs?: number | undefined;
  /** @default nothing is logged */
  readonly log?: Log | undefined;
}

/**
 * Joins the bus.
 *
 * @throws {HearthError} `UNAVAILABLE` when no server answers, or one refuses us
 * @throws {TypeError} when the channel has other characters
 */
export async function openNatsBus(options: NatsBusOptions): Promise<Bus> {
  const { servers, user, password, token, channel = "hearth" } = options;
  if (!/^[\w-]{1,64}$/.test(channel)) {
    throw new TypeError(`Cannot join the bus: "${channel}" is no channel`);
  }
  const connection = await connect({
    servers: [...servers],
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { pass: password }),
    ...(token === undefined ? {} : { token }),
    name: "hearth bus",
    noEcho: true,
    pingInterval: options.pingMs ?? 5_000,
    maxPingOut: 2,
    // For ever: without hints everything goes on, a little later.
    maxReconnectAttempts: -1,
    ignoreAuthErrorAbort: true,
    reconnectTimeWait: 500,
    reconnectJitter: 1_500,
  }).catch((cause: unknown) => {
    throw new HearthError("UNAVAILABLE", "Cannot join the bus: no NATS server takes us", { cause });
  });
  const bus = new NatsBus(connection, `hearth.${channel}.hints`, options.log ?? silentLog);
  // What others publish from now on arrives.
  await connection.flush();
  return bus;
}

/** Servers take 1 MiB; smaller messages let others through in between. */
const maxBytes = 60 << 10;

class NatsBus implements Bus {
  readonly #connection: NatsConnection;
  readonly #wire: Wire;
  readonly #watched: Promise<void>;

  constructor(connection: NatsConnection, subject: string, log: Log) {
    this.#connection = connection;
    this.#wire = new Wire({
      maxBytes,
      send: async (messages) => {
        for (const bytes of messages) connection.publish(subject, bytes);
        // Bounds what the client holds: the next messages wait until the server has read these.
        await connection.flush();
      },
    });
    connection.subscribe(subject, {
      callback: (error, message) => {
        if (error) log.warn("bus cannot read a message", errorFields(error));
        else this.#wire.receive(message.data);
      },
    });
    this.#watched = this.#watch(log);
    this.#wire.resume();
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

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#wire.close(systemClock);
    await this.#connection.close();
    await this.#watched;
  }

  async #watch(log: Log): Promise<void> {
    for await (const status of this.#connection.status()) {
      switch (status.type) {
        case "disconnect":
          log.warn("bus has lost its link", { server: status.server });
          this.#wire.suspend();
          break;
        case "reconnect":
          await this.#onReconnect(log, status.server);
          break;
        case "slowConsumer":
          this.#wire.gap();
          break;
        case "error":
          log.warn("bus had an error", errorFields(status.error));
          break;
        default: // Steps on the way to one of those above.
      }
    }
  }

  async #onReconnect(log: Log, server: string): Promise<void> {
    try {
      // Until the server has read our subscription anew, messages are lost: the gap ends then.
      await this.#connection.flush();
    } catch (error) {
      // The link was lost again, and another reconnect follows; or the bus has been left.
      return log.debug("bus has lost its link again", errorFields(error));
    }
    log.info("bus listens again", { server });
    this.#wire.resume();
    this.#wire.gap();
  }
}
