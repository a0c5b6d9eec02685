/**
 * What to load of a ledger when something is lacking and nothing tells where it is: the newest first,
 * since what two devices have in common is what was there when they parted.
 */

import type { BlobListing } from "../protocol/model.ts";

/** Most that is loaded at all: the database keeps it in memory. What is older is left out. */
export const maxSearch = { cars: 10_000, bytes: 64 << 20 };
/** How much is loaded before looking whether it helps; a single larger car is. */
export const searchStep = { cars: 100, bytes: 2 << 20 };

/**
 * Takes cars off a list in steps, those left out that are here already; reads no further than it is
 * asked.
 */
export async function* searchSteps(
  pages: AsyncIterable<readonly BlobListing[]>,
  isHere: (cid: string) => boolean,
): AsyncGenerator<readonly string[]> {
  const taken = { cars: 0, bytes: 0 };
  let step: string[] = [];
  let stepBytes = 0;
  search: for await (const page of pages) {
    for (const { cid, size } of page) {
      if (isHere(cid)) continue;
      taken.cars++;
      taken.bytes += size;
      if (taken.cars > maxSearch.cars || taken.bytes > maxSearch.bytes) break search;
      step.push(cid);
      stepBytes += size;
      if (step.length < searchStep.cars && stepBytes < searchStep.bytes) continue;
      yield step;
      step = [];
      stepBytes = 0;
    }
  }
  if (step.length > 0) yield step;
}
