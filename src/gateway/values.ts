/** What values of Fireproof's and of the app's are, thrown ones included. */

import type { AnyLink } from "@fireproof/core-types-blockstore";
import { HearthError } from "../protocol/errors.ts";

/** Whether a value of Fireproof's or the app's has properties to look at. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

/** Whether a value is a CID. */
export function isLink(value: unknown): value is AnyLink {
  return isRecord(value) && "multihash" in value;
}

/** What a failure was, for who must know what was attempted. */
export function toHearthError(cause: unknown, attempted: string): HearthError {
  if (cause instanceof HearthError) return cause;
  // Fireproof also throws what is no error and says nothing as text.
  const found = cause instanceof Error ? cause.message : "the database gave no reason";
  return new HearthError("INTERNAL", `${attempted}: ${found}`, { cause });
}
