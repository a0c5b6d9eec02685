/** Keeps the token in force, and knows when to bring another. */

import type { Clock } from "../base/clock.ts";
import { HearthError } from "../protocol/errors.ts";
import type { TokenSource } from "./client.ts";
import { withDeadline } from "./deadline.ts";

/** Holds one token. */
export interface TokenKeeper {
  /** Whether the source can bring another token than the one refused. */
  readonly renewable: boolean;
  /** The token brought last. */
  readonly current: string | undefined;
  /** The token in force; brings one if there is none, or if it has ended. */
  get(signal: AbortSignal): Promise<string>;
  /**
   * Brings another token.
   *
   * @throws {HearthError} `UNAVAILABLE` when the source fails or takes too long
   */
  renew(signal: AbortSignal): Promise<string>;
  /** Takes note of when the token in force ends, epoch ms. */
  learnExpiry(expiresAt: number): void;
  /** Forgets the token in force: it was refused. */
  drop(): void;
}

const sourceTimeoutMs = 30_000;

/** Keeps tokens of a source. */
export function createTokenKeeper(source: TokenSource, clock: Clock): TokenKeeper {
  const renewable = typeof source !== "string";
  let current: string | undefined;
  let expiresAt = Infinity;
  let asking: Promise<string> | undefined;

  const ask = async (): Promise<string> => {
    const token = typeof source === "string" ? source : await source();
    if (typeof token !== "string") throw new TypeError("The token function returned no string");
    current = token;
    expiresAt = Infinity;
    return token;
  };

  const renew = async (signal: AbortSignal): Promise<string> => {
    // One question at a time: whoever asks meanwhile gets the same answer.
    const asked = asking ??= ask().finally(() => asking = undefined);
    try {
      const deadline = { clock, ms: sourceTimeoutMs, signal, what: "get a token" };
      return await withDeadline(() => asked, deadline);
    } catch (cause) {
      signal.throwIfAborted();
      throw new HearthError("UNAVAILABLE", "Cannot get a token: its source failed", { cause });
    }
  };

  return {
    renewable,
    renew,
    get current() {
      return current;
    },
    async get(signal) {
      const ended = renewable && clock.now() >= expiresAt;
      return current === undefined || ended ? await renew(signal) : current;
    },
    learnExpiry(at) {
      expiresAt = at;
    },
    drop() {
      current = undefined;
    },
  };
}

/**
 * How long after its arrival a token is replaced: when 80 % of its life or all but a minute of it
 * are over, whichever is later. A clock that is wrong gives a life that is wrong: never at once, or
 * the source would be asked in a circle.
 */
export function refreshDelayMs(expiresAt: number, now: number): number {
  const lifeMs = expiresAt - now;
  return Math.max(0.8 * lifeMs, lifeMs - 60_000, minRefreshMs);
}

const minRefreshMs = 5_000;
