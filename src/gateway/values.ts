/** What values of Fireproof's and of the app's are. */

import type { AnyLink } from "@fireproof/core-types-blockstore";

/** Whether a value of Fireproof's or the app's has properties to look at. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

/** Whether a value is a CID. */
export function isLink(value: unknown): value is AnyLink {
  return isRecord(value) && "multihash" in value;
}
