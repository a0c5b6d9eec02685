/** A bus that loses, doubles, delays and reorders what it is given, as a test wants it. */

import type { Bus, BusListener, Hint } from "../../../src/backend/bus/bus.ts";
import type { Random } from "../../random.ts";

/** What happens to hints, each with a chance in percent. */
export interface Faults {
  readonly drop?: number;
  readonly duplicate?: number;
  /** Held back until others have passed. */
  readonly delay?: number;
}

/** A bus with a switch. */
export interface FaultyBus extends Bus {
  /** Loses everything while it is on. */
  isDeaf: boolean;
  /** Tells its listeners of a gap. */
  gap(): void;
}

/** Wraps an end: faults happen to what it receives. */
export function makeFaulty(bus: Bus, random: Random, faults: Faults = {}): FaultyBus {
  const listeners = new Set<BusListener>();
  const chance = (percent = 0): boolean => random.below(100) < percent;
  const faulty: FaultyBus = {
    isDeaf: false,
    gap() {
      for (const listener of listeners) listener.onGap();
    },
    get counts() {
      return bus.counts;
    },
    publish: (hints) => bus.publish(hints),
    tell: (told) => bus.tell(told),
    subscribe(listener) {
      const held: Hint[] = [];
      const inner: BusListener = {
        onHints(hints) {
          if (faulty.isDeaf) return;
          for (const hint of hints) {
            if (chance(faults.drop)) continue;
            if (chance(faults.delay)) held.push(hint);
            else listener.onHints([hint]);
            if (chance(faults.duplicate)) listener.onHints([hint]);
            if (held.length > 0 && chance(50)) {
              listener.onHints(held.splice(random.below(held.length), 1));
            }
          }
        },
        onTold(told) {
          if (!faulty.isDeaf) listener.onTold(told);
        },
        onGap: () => listener.onGap(),
      };
      listeners.add(listener);
      const stop = bus.subscribe(inner);
      return () => {
        listeners.delete(listener);
        stop();
      };
    },
    [Symbol.asyncDispose]: () => bus[Symbol.asyncDispose](),
  };
  return faulty;
}
