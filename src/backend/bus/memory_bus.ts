/** A bus inside of one process: for several servers in one test. */

import { systemClock } from "../../base/clock.ts";
import type { Bus, BusCounts, BusListener, BusTold, Hint } from "./bus.ts";
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
  const wires = new Set<Wire>();
  return {
    join: () => new MemoryBus(wires),
    inject: (bytes) => wires.forEach((wire) => wire.receive(bytes)),
  };
}

/** As of a bus that knows bounds, so that what works here works there. */
const maxBytes = 60 << 10;

class MemoryBus implements Bus {
  readonly #wires: Set<Wire>;
  readonly #wire: Wire;

  constructor(wires: Set<Wire>) {
    this.#wires = wires;
    this.#wire = new Wire({ maxBytes, send: (messages) => this.#send(messages) });
    wires.add(this.#wire);
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
    this.#wires.delete(this.#wire);
  }

  #send(messages: readonly Uint8Array[]): Promise<void> {
    for (const bytes of messages) {
      for (const wire of this.#wires) wire.receive(bytes);
    }
    return Promise.resolve();
  }
}
