/** One figure of the bench, and what it is read against. */

import { median, percentile, ratioOf } from "./statistics.ts";

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
  /** What the value is made up of; absent when it was not taken apart. */
  readonly parts?: readonly Part[] | undefined;
}

/** A part of a figure. Medians of parts need not sum up to the median of the whole. */
export interface Part {
  readonly name: string;
  /** Median, in the unit of the row. */
  readonly p50: number;
  readonly p99: number;
  /** The median divided by that of the whole. */
  readonly share: number;
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
  readonly parts?: readonly Part[] | undefined;
}

/** Makes a row. */
export function toRow({ name, unit, values, against, reach, parts }: Measured): Row {
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
    parts,
  };
}

/** Makes a part of a figure whose median is `whole`. */
export function toPart(name: string, values: readonly number[], whole: number): Part {
  const p50 = median(values);
  return {
    name,
    p50: rounded(p50),
    p99: rounded(percentile(values, 99)),
    share: rounded(p50 / whole),
  };
}

/** Three digits say all that such a figure can. */
function rounded(value: number): number {
  return Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3));
}
