/** Reads columns of SQL rows: where what the database holds becomes typed. */

import * as v from "valibot";
import { type BlobListing, type BlobRef, type Meta, storeSchema } from "../../protocol/model.ts";
import type { HeldCount } from "./meta_store.ts";

/** A row as a driver hands it out. */
export type Row = Readonly<Record<string, unknown>>;

/** A whole number. */
export function integerOf(row: Row, column: string): number {
  const value = row[column];
  return typeof value === "number" ? value : refuse(column, value);
}

/** A text. */
export function textOf(row: Row, column: string): string {
  const value = row[column];
  return typeof value === "string" ? value : refuse(column, value);
}

/** Binary. */
export function bytesOf(row: Row, column: string): Uint8Array {
  const value = row[column];
  return value instanceof Uint8Array ? value : refuse(column, value);
}

/** Text that is kept as UTF-8 binary. */
export function utf8Of(row: Row, column: string): string {
  return new TextDecoder().decode(bytesOf(row, column));
}

/** Name of a blob. */
export function refOf(row: Row): BlobRef {
  return { store: v.parse(storeSchema, row["store"]), cid: textOf(row, "cid") };
}

/** A blob as lists show it. */
export function listingOf(row: Row): BlobListing {
  return { ...refOf(row), size: integerOf(row, "size") };
}

/** A meta. */
export function metaOf(row: Row): Meta {
  return {
    cid: textOf(row, "cid"),
    parents: v.parse(cids, JSON.parse(textOf(row, "parents"))),
    data: bytesOf(row, "data"),
    blobs: v.parse(refs, JSON.parse(textOf(row, "blobs"))),
  };
}

/** How much a ledger holds. */
export function heldOf(row: Row): HeldCount {
  return {
    ledger: `${textOf(row, "tenant")}/${textOf(row, "ledger")}`,
    metas: integerOf(row, "metas"),
  };
}

// CIDs were checked when they came in; checking their spelling again would cost every catch-up.
const cids = v.array(v.string());
const refs = v.array(v.strictObject({ store: storeSchema, cid: v.string() }));

function refuse(column: string, value: unknown): never {
  const found = value === null ? "null" : typeof value;
  throw new TypeError(`Cannot read column "${column}": it holds ${found}`);
}
