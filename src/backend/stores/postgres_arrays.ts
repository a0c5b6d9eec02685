/** Writes lists as Postgres' array literals: the driver knows no array types without asking for them. */

import { Buffer } from "node:buffer";
import { splitLedger } from "../../protocol/model.ts";
import type { LedgerId } from "./meta_store.ts";

/** For a parameter of type `text[]`. */
export function textArray(texts: readonly (string | null)[]): string {
  return `{${texts.map((text) => text === null ? "null" : quoted(text)).join(",")}}`;
}

function quoted(text: string): string {
  return `"${text.replace(/[\\"]/g, "\\$&")}"`;
}

/** Tenants and ledgers of rows, side by side: two parameters of type `text[]`. */
export function namesOf(
  rows: readonly { readonly ledger: LedgerId }[],
): [tenants: string, ledgers: string] {
  const names = rows.map((it) => splitLedger(it.ledger));
  return [textArray(names.map(([tenant]) => tenant)), textArray(names.map(([, ledger]) => ledger))];
}

/** For a parameter of type `bigint[]` or `int[]`. */
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
