/** Messages within one process: for tests, and for a client in the server's own process. */

import type { Dialer, Transport, TransportEvents } from "./transport.ts";

/** Options of {@linkcode createMemoryDialer}. */
export interface MemoryOptions {
  /** Whether the link poses as a socket (or as HTTP). @default true */
  readonly pushes?: boolean;
}

/**
 * Opens links to whoever accepts them.
 *
 * @param accept gets the server's end of each link and returns whom that end calls; what it throws,
 * the attempt to open rejects with
 */
export function createMemoryDialer(
  accept: (server: Transport, token: () => string | undefined) => TransportEvents,
  options: MemoryOptions = {},
): Dialer {
  return {
    async open(events, { signal, token }) {
      await Promise.resolve();
      signal.throwIfAborted();
      const pushes = options.pushes ?? true;
      const [client, server] = [new End(pushes), new End(pushes)];
      client.join(server, events);
      server.join(client, accept(server, token));
      return client;
    },
  };
}

/** One end of a link. Everything arrives in a later microtask, in order, and copied. */
class End implements Transport {
  readonly pushes: boolean;
  #peer: End | undefined;
  #events: TransportEvents | undefined;
  #bufferedBytes = 0;

  constructor(pushes: boolean) {
    this.pushes = pushes;
  }

  join(peer: End, events: TransportEvents): void {
    this.#peer = peer;
    this.#events = events;
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  send(message: Uint8Array): void {
    const peer = this.#peer;
    if (!peer) return;
    const copy = message.slice();
    this.#bufferedBytes += copy.length;
    queueMicrotask(() => {
      this.#bufferedBytes -= copy.length;
      peer.#events?.onMessage(copy);
    });
  }

  close(code = 1000, reason = ""): void {
    const peer = this.#peer;
    if (!peer) return;
    this.#peer = undefined;
    peer.#peer = undefined;
    queueMicrotask(() => {
      for (const end of [this, peer]) {
        const events = end.#events;
        end.#events = undefined;
        events?.onClose({ code, reason });
      }
    });
  }
}
