/** Fireproof's meta blocks: which cars one names, which others it follows, and how one is made. */

import { Buffer } from "node:buffer";
import { hash } from "node:crypto";
import { decode, encode } from "@ipld/dag-cbor";
import * as v from "valibot";
import { formatCid } from "../../protocol/cid.ts";
import { cidSchema } from "../../protocol/model.ts";

/** What a meta block says. Its bytes are not encrypted, so that a server can read this much. */
export interface MetaBlock {
  readonly parents: readonly string[];
  /** The cars of one commit: the first is all that the stock client loads by itself. */
  readonly cars: readonly string[];
}

/** Multicodec of dag-cbor. */
const dagCbor = 0x71;

const link = v.pipe(
  v.custom<object>((it) => typeof it === "object" && it !== null),
  v.transform(String),
  cidSchema,
);
const blockSchema = v.object({
  data: v.object({ dbMeta: v.instance(Uint8Array) }),
  parents: v.array(link),
});
/** dag-json, of which only links occur here. */
const dbMetaSchema = v.object({
  cars: v.pipe(
    v.array(v.pipe(v.object({ "/": cidSchema }), v.transform((it) => it["/"]))),
    v.minLength(1),
    v.maxLength(1000),
  ),
});

/** Reads a block; nothing when it is none of Fireproof's. */
export function readMetaBlock(bytes: Uint8Array): MetaBlock | undefined {
  try {
    const { data, parents } = v.parse(blockSchema, decode(bytes));
    const text = new TextDecoder("utf-8", { fatal: true }).decode(data.dbMeta);
    return { parents, cars: v.parse(dbMetaSchema, JSON.parse(text)).cars };
  } catch {
    // Whatever is wrong with it: no client can read it either.
    return undefined;
  }
}

/** Makes the block of a meta that follows no other and names one car. */
export function makeMetaBlock(car: string): Uint8Array {
  const dbMeta = new TextEncoder().encode(JSON.stringify({ cars: [{ "/": car }] }));
  return encode({ data: { dbMeta }, parents: [] });
}

/** The CID of a block. */
export function cidOfBlock(bytes: Uint8Array): string {
  return formatCid(dagCbor, hash("sha256", bytes, "buffer"));
}

/** Multibase base64pad, in which blocks travel. */
export function toBase64pad(bytes: Uint8Array): string {
  return `M${Buffer.from(bytes).toString("base64")}`;
}

/** The bytes of a text in that form; nothing when it is not in its one spelling. */
export function fromBase64pad(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text.slice(1), "base64");
  return toBase64pad(bytes) === text ? new Uint8Array(bytes) : undefined;
}
