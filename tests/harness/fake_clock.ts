/** Clocks that a test moves. */

import { type Clock, systemClock } from "../../src/base/clock.ts";

/** Time in a test's hands. */
export interface FakeClock extends Clock {
  /** Moves time on; what falls due on the way is called at its time. */
  advance(ms: number): void;
}

/** A clock that stands still until it is moved. @param now epoch ms at the start */
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

/** The machine's clock, but for limits of 10 s and more: these come when the test says so. */
export function createHandClock() {
  const waiting = new Set<{ readonly ms: number; readonly callback: () => void }>();
  const clock: Clock = {
    now: () => systemClock.now(),
    after: (ms, callback) => {
      if (ms < 10_000) return systemClock.after(ms, callback);
      const timer = { ms, callback };
      waiting.add(timer);
      return () => void waiting.delete(timer);
    },
  };
  const fire = (ms: number): void => {
    for (const timer of [...waiting].filter((it) => it.ms === ms)) {
      waiting.delete(timer);
      timer.callback();
    }
  };
  return { clock, fire };
}
