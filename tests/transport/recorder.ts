/** Remembers what a transport called. */

import type { CloseReason, TransportEvents } from "../../src/transport/transport.ts";

/** What came so far. */
export interface Recorder extends TransportEvents {
  readonly messages: Uint8Array[];
  readonly closes: CloseReason[];
  /** The reason of the end, once it has come. */
  readonly closed: Promise<CloseReason>;
  /** Waits for the next message. */
  message(): Promise<Uint8Array>;
}

/** Makes a recorder. */
export function createRecorder(): Recorder {
  const messages: Uint8Array[] = [];
  const closes: CloseReason[] = [];
  const waiting: ((message: Uint8Array) => void)[] = [];
  let taken = 0;
  const { promise: closed, resolve } = Promise.withResolvers<CloseReason>();
  return {
    messages,
    closes,
    closed,
    onMessage(message) {
      messages.push(message);
      const next = waiting.shift();
      if (next) {
        taken++;
        next(message);
      }
    },
    onClose(reason) {
      closes.push(reason);
      resolve(reason);
    },
    message() {
      const next = messages[taken];
      if (!next) return new Promise((resolve) => waiting.push(resolve));
      taken++;
      return Promise.resolve(next);
    },
  };
}
