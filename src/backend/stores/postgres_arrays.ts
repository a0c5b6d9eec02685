/** Writes lists as Postgres' array literals: the driver knows no array types without asking for them. */

import { Buffer } from "node:buffer";

/** For a parameter of type `text[]`. */
export function textArray(texts: readonly string[]): string {
  return `{${texts.map((text) => `"${text.replace(/[\\"]/g, "\\$&")}"`).join(",")}}`;
}

/** For a parameter of type `bigint[]`. */
export function integerArray(integers: readonly (number | null)[]): string {
  return `{${integers.map((integer) => integer ?? "null").join(",")}}`;
}

/** For a parameter of type `boolean[]`. */
export function booleanArray(booleans: readonly boolean[]): string {
  return `{${booleans.join(",")}}`;
}

/** For a parameter of type `bytea[]`. */
export function bytesArray(items: readonly Uint8Array[]): string {
  return `{${items.map((bytes) => `"\\\\x${hexOf(bytes)}"`).join(",")}}`;
}

function hexOf({ buffer, byteOffset, byteLength }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString("hex");
}
