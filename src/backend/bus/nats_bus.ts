/** The bus over NATS: core subjects, at most once, which is all that a hint needs. */

import { connect, type NatsConnection } from "@nats-io/transport-node";
import { HearthError } from "../../protocol/errors.ts";
import { errorFields, type Log, silentLog } from "../log.ts";
import type { Bus } from "./bus.ts";
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
  const { servers, user, password, token, channel = "hearth", log = silentLog } = options;
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
  const subject = `hearth.${channel}.hints`;
  const wire = new Wire({
    maxBytes,
    async send(messages) {
      for (const bytes of messages) connection.publish(subject, bytes);
      // Bounds what the client holds: the next messages wait until the server has read these.
      await connection.flush();
    },
    async leave() {
      await connection.close();
      await watched;
    },
  });
  connection.subscribe(subject, {
    callback: (error, message) => {
      if (error) log.warn("bus cannot read a message", errorFields(error));
      else wire.receive(message.data);
    },
  });
  const watched = watch(connection, wire, log);
  wire.resume();
  // What others publish from now on arrives.
  await connection.flush();
  return wire;
}

/** Servers take 1 MiB; smaller messages let others through in between. */
const maxBytes = 60 << 10;

/** Tells the wire how the connection fares, until it is closed. */
async function watch(connection: NatsConnection, wire: Wire, log: Log): Promise<void> {
  for await (const status of connection.status()) {
    switch (status.type) {
      case "disconnect":
        log.warn("bus has lost its link", { server: status.server });
        wire.suspend();
        break;
      case "reconnect":
        if (!await hasReturned(connection, log)) break;
        log.info("bus listens again", { server: status.server });
        wire.resume();
        wire.gap();
        break;
      case "slowConsumer":
        wire.gap();
        break;
      case "error":
        log.warn("bus had an error", errorFields(status.error));
        break;
      default: // Steps on the way to one of those above.
    }
  }
}

/** Until the server has read our subscription anew, messages are lost: the gap ends then. */
async function hasReturned(connection: NatsConnection, log: Log): Promise<boolean> {
  try {
    await connection.flush();
    return true;
  } catch (error) {
    // The link was lost again, and another reconnect follows; or the bus has been left.
    log.debug("bus has lost its link again", errorFields(error));
    return false;
  }
}
