/** The test vectors: messages as JSON beside their bytes, one list for each released version. */

import { readFileSync } from "node:fs";
import { fromHex } from "../hex.ts";

/** A message: its frames, and its bytes. */
export interface Vector {
  readonly name: string;
  /** The frames of the message as MessagePack-RPC arrays; binary as `{ "$bin": "hex" }`. */
  readonly value: readonly (readonly unknown[])[];
  readonly hex: string;
  /** False when the bytes are one of several spellings, and not the one that we write. */
  readonly canonical?: boolean;
}

/** Reads the vectors of a version. */
export function readVectors(version: number): readonly Vector[] {
  return JSON.parse(readFileSync(new URL(`./v${version}.json`, import.meta.url), "utf8"));
}

/** Puts bytes where the JSON has `{ "$bin": "hex" }`. */
export function revive(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(revive);
  if (typeof value !== "object" || value === null) return value;
  if ("$bin" in value) return fromHex(String(value.$bin));
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, revive(field)]));
}
