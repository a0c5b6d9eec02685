/** Notices a peer that is gone: asks after silence, and gives up when nothing comes back. */

import type { Clock } from "../base/clock.ts";

/** Options of {@linkcode startHeartbeat}. */
export interface HeartbeatOptions {
  readonly clock: Clock;
  /** Silence after which the peer is asked. */
  readonly heartbeatMs: number;
  /** Silence after the question that means that it is gone. */
  readonly graceMs: number;
  readonly ping: () => void;
  /**
   * Bytes that wait to leave. While they grow fewer the peer is there: an answer cannot overtake a
   * long message on a slow link.
   */
  readonly backlog: () => number;
  readonly onDead: () => void;
}

/** A running heartbeat. */
export interface Heartbeat {
  /** The peer has given a sign of life. */
  seen(): void;
  stop(): void;
}

/** Starts to watch over a peer. */
export function startHeartbeat(options: HeartbeatOptions): Heartbeat {
  const { clock, heartbeatMs, graceMs, ping, backlog, onDead } = options;
  let seenAt = clock.now();
  let cancel = (): void => {};

  const listen = (): void => {
    const silentMs = clock.now() - seenAt;
    if (silentMs < heartbeatMs) {
      cancel = clock.after(heartbeatMs - silentMs, listen);
      return;
    }
    const askedAt = clock.now();
    const waiting = backlog();
    ping();
    cancel = clock.after(graceMs, () => {
      if (backlog() < waiting) seenAt = clock.now();
      if (seenAt >= askedAt) listen();
      else onDead();
    });
  };
  listen();
  return {
    seen: () => (seenAt = clock.now()),
    stop: () => cancel(),
  };
}
