/** A clock that stands still until a test moves it. */

import type { Clock } from "../../src/base/clock.ts";

/** Time in a test's hands. */
export interface FakeClock extends Clock {
  /** Moves time on; what falls due on the way is called at its time. */
  advance(ms: number): void;
}

/** @param now epoch ms at the start */
export function createFakeClock(now = Date.now()): FakeClock {
  const timers = new Set<{ readonly at: number; readonly callback: () => void }>();
  return {
    now: () => now,
    after(ms, callback) {
      // As real ones do: beyond 31 bits they fire at once.
      const timer = { at: now + (ms > 2 ** 31 - 1 ? 1 : ms), callback };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    advance(ms) {
      const end = now + ms;
      for (;;) {
        const due = [...timers].filter((it) => it.at <= end).sort((a, b) => a.at - b.at)[0];
        if (!due) break;
        timers.delete(due);
        now = Math.max(now, due.at);
        due.callback();
      }
      now = end;
    },
  };
}
