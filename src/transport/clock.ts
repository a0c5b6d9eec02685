/** Time as everything below `connect` sees it, so that tests own it. */

/** A source of time. */
export interface Clock {
  /** Epoch ms. */
  now(): number;
  /** Calls back once, after at most a day; returns the function that calls it off. */
  after(ms: number, run: () => void): () => void;
}

/** The time of this machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

/** Timers beyond 2^31 ms fire at once on every runtime: longer waits are made of steps like this. */
const maxTimerMs = 24 * 3_600_000;

/** Waits, however long. @throws the signal's reason when it is aborted */
export async function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  for (let left = ms; left > maxTimerMs; left -= maxTimerMs) await step(clock, maxTimerMs, signal);
  await step(clock, ms > maxTimerMs ? ms % maxTimerMs : ms, signal);
}

function step(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const onAbort = () => {
      cancel();
      reject(signal.reason);
    };
    const cancel = clock.after(ms, () => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    });
    signal.addEventListener("abort", onAbort, { once: true });
  });
}
