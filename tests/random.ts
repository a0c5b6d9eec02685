/** Randomness that a test can repeat: run it with the seed that the failing run printed. */

import process from "node:process";

/** Draws from one seed. */
export interface Random {
  /** At least 0, less than `below`, whole. */
  below(below: number): number;
  /** One of the items. */
  pick<T>(items: readonly T[]): T;
  /** So many bytes. */
  bytes(length: number): Uint8Array<ArrayBuffer>;
}

/** The seed of this run: `HEARTH_TEST_SEED`, or a new one; printed, so that a failure can be repeated. */
export function testSeed(): number {
  const seed = Number(process.env["HEARTH_TEST_SEED"] ?? Date.now() % 2 ** 32);
  console.log(`HEARTH_TEST_SEED=${seed}`);
  return seed;
}

/** The draws that belong to a seed. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  // Mulberry32: small, fast, and good enough to spread over inputs.
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number): number => Math.floor(next() * limit);
  return {
    below,
    pick<T>(items: readonly T[]): T {
      if (items.length === 0) throw new RangeError("Cannot pick from an empty list");
      // The index is inside of the list, whose items may well be undefined.
      return items[below(items.length)] as T;
    },
    bytes: (length) => Uint8Array.from({ length }, () => below(256)),
  };
}
