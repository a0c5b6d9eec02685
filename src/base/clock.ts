/** Time, so that tests own it. */

/** Tells the time and calls back later. */
export interface Clock {
  /** Epoch ms. */
  now(): number;
  /** Calls back once, after at most {@linkcode maxTimerMs}; returns the function that calls it off. */
  after(ms: number, callback: () => void): () => void;
}

/** The machine's own time. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};

/** Timers beyond 2^31 ms fire at once on every runtime: longer waits are made of steps like this. */
export const maxTimerMs = 24 * 60 * 60 * 1000;

/** Waits so long, a day at most, or until one of the signals is given, whichever is first. */
export function pause(clock: Clock, ms: number, ...signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    if (signals.some((it) => it.aborted)) return resolve();
    const done = (): void => {
      cancel();
      for (const signal of signals) signal.removeEventListener("abort", done);
      resolve();
    };
    const cancel = clock.after(ms, done);
    for (const signal of signals) signal.addEventListener("abort", done);
  });
}

/** Waits, however long. @throws the signal's reason when it is aborted */
export async function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  let left = ms;
  do {
    signal.throwIfAborted();
    await pause(clock, Math.min(left, maxTimerMs), signal);
    left -= maxTimerMs;
  } while (left > 0);
  signal.throwIfAborted();
}
