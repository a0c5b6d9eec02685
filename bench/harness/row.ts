/** One figure of the bench, and what it is read against. */

import { median, ratioOf } from "./statistics.ts";

/** A figure; a ratio is always Hearth's value divided by that of the reference. */
export interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What was measured beside it in the same run, with its value. */
  readonly against: string;
  readonly ratio: number;
  /** The ratio wanted, `>= 0.7` or `<= 2`; null when none is. */
  readonly reach: string | null;
  readonly reached: boolean | null;
}

/** The ratio wanted: at least, or at most. */
export type Reach = { readonly least: number } | { readonly most: number };

/** What {@linkcode toRow} makes a row of: values by round. */
export interface Measured {
  readonly name: string;
  readonly unit: string;
  readonly values: readonly number[];
  /** The reference, in the same unit. */
  readonly against: { readonly name: string; readonly values: readonly number[] };
  readonly reach?: Reach | undefined;
}

/** Makes a row. */
export function toRow({ name, unit, values, against, reach }: Measured): Row {
  const ratio = ratioOf(values, against.values);
  return {
    name,
    value: rounded(median(values)),
    unit,
    against: `${against.name}: ${rounded(median(against.values))}`,
    ratio: rounded(ratio),
    reach: reach === undefined ? null : "least" in reach ? `>= ${reach.least}` : `<= ${reach.most}`,
    reached: reach === undefined
      ? null
      : "least" in reach
      ? ratio >= reach.least
      : ratio <= reach.most,
  };
}

/** Three digits say all that such a figure can. */
function rounded(value: number): number {
  return Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3));
}
