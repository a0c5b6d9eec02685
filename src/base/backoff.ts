/** How long to wait before trying again. */

/** Bounds of {@linkcode backoffMs}. */
export interface BackoffOptions {
  /** @default 250 */
  readonly baseMs?: number;
  /** @default 15000 */
  readonly maxMs?: number;
  /** What the other side asked for: at least this. @default 0 */
  readonly atLeastMs?: number | undefined;
}

/**
 * Exponential backoff with full jitter: anything up to a ceiling that doubles with each attempt, so
 * that clients which lost one server at one moment do not come back at one moment.
 *
 * @param attempt 0 for the first repeat
 * @param chance a number in [0, 1)
 */
export function backoffMs(attempt: number, chance: number, options: BackoffOptions = {}): number {
  const { baseMs = 250, maxMs = 15_000, atLeastMs = 0 } = options;
  return atLeastMs + Math.round(chance * Math.min(maxMs, baseMs * 2 ** attempt));
}
