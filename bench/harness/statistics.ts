/** Medians, percentiles, and measuring several things by turns. */

/** Measures one thing once. */
export type Measure = () => Promise<number>;

/**
 * Measures each thing once a round, for some rounds: whatever else keeps the machine busy then
 * meets all of them. Every round begins with another thing, so that none has the better place.
 *
 * @returns the values of each thing by round
 */
export async function byTurns<const Measures extends readonly Measure[]>(
  rounds: number,
  measures: Measures,
): Promise<{ readonly [At in keyof Measures]: readonly number[] }> {
  const values: number[][] = measures.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < measures.length; turn++) {
      const at = (round + turn) % measures.length;
      const value = await measures[at]?.();
      if (value !== undefined) values[at]?.push(value);
    }
  }
  // The compiler does not follow a tuple through `map`.
  return values as { readonly [At in keyof Measures]: readonly number[] };
}

/** The middle value. */
export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

/** The value that so many percent of the values do not exceed. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil(sorted.length * percent / 100) - 1)];
  if (value === undefined) throw new RangeError("Cannot take a percentile of no values");
  return value;
}

/** The median over the rounds of one thing's value divided by the other's of the same round. */
export function ratioOf(values: readonly number[], against: readonly number[]): number {
  return median(values.map((value, round) => value / (against[round] ?? Number.NaN)));
}
