/** A bus inside of one process: for several servers in one test. */

import type { Bus } from "./bus.ts";
import { Wire } from "./wire.ts";

/** Where the ends of a bus meet. */
export interface MemoryBusNetwork {
  /** Makes one more end. */
  join(): Bus;
  /** Hands bytes to all ends, as somebody strange on the same channel would. */
  inject(bytes: Uint8Array): void;
}

/** Makes a network without ends. */
export function createMemoryBusNetwork(): MemoryBusNetwork {
  const ends = new Set<Wire>();
  const inject = (bytes: Uint8Array): void => ends.forEach((end) => end.receive(bytes));
  return {
    join() {
      const end = new Wire({
        maxBytes,
        send: (messages) => Promise.resolve(messages.forEach(inject)),
        leave: () => Promise.resolve(void ends.delete(end)),
      });
      ends.add(end);
      end.resume();
      return end;
    },
    inject,
  };
}

/** As of a bus that knows bounds, so that what works here works there. */
const maxBytes = 60 << 10;
