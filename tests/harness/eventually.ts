/** Waits until something holds: woken by events where there are some, looking again as last resort. */

/** Something that tells when looking again may be worth it. */
export interface Wakes {
  /** Calls back on every event; returns the function that stops it. */
  onEvent(listener: () => void): () => void;
}

/** Options of {@linkcode eventually}. */
export interface EventuallyOptions {
  /** How long to wait; generous, since the machine may be busy. @default 60000 */
  readonly timeoutMs?: number;
  /** Whose events wake the check. */
  readonly on?: readonly Wakes[];
  /** Pause before looking again without an event. @default 5, then twice as long up to 200 */
  readonly everyMs?: number;
}

/**
 * Repeats the check until it stops throwing, and gives its value.
 *
 * @throws the deadline, with the last failure of the check as cause
 */
export async function eventually<T>(
  check: () => T | Promise<T>,
  { timeoutMs = 60_000, on = [], everyMs }: EventuallyOptions = {},
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (let pauseMs = everyMs ?? 5;; pauseMs = everyMs ?? Math.min(2 * pauseMs, 200)) {
    // Listening starts before the check, so that no event falls between the two.
    const event = nextEvent(on, pauseMs);
    try {
      return await check();
    } catch (cause) {
      const found = cause instanceof Error ? cause.message : String(cause);
      if (performance.now() > deadline) {
        throw new Error(`Still not so after ${timeoutMs} ms: ${found}`, { cause });
      }
      await event.promise;
    } finally {
      event.end();
    }
  }
}

function nextEvent(sources: readonly Wakes[], pauseMs: number) {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, pauseMs);
  const stops = sources.map((source) => source.onEvent(resolve));
  const end = () => {
    clearTimeout(timer);
    for (const stop of stops) stop();
  };
  return { promise, end };
}
