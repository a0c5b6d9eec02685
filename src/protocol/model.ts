/** The records of the protocol: schemas for the door, interfaces for the public border. */

import * as v from "valibot";
import { isCid } from "./cid.ts";
import { maxKeyLength, maxListItems, maxMetaBytes, maxTokenLength } from "./limits.ts";

/** Which of a ledger's two blob stores: blocks (`car`) or attachments (`file`). */
export type StoreName = "car" | "file";

/** What a token allows on a ledger; each right includes those before it. */
export type Right = "read" | "write" | "admin";

/** Names one blob of a ledger. */
export interface BlobRef {
  /** Which store it lies in. */
  readonly store: StoreName;
  /** CIDv1, base32, sha2-256. */
  readonly cid: string;
}

/**
 * A blob of a commit: its bytes, or (after an upload to a signed URL) the digest and size under
 * which the bytes were uploaded.
 */
export interface BlobUpload extends BlobRef {
  /** The blob itself, when it travels inside the commit. */
  readonly bytes?: Uint8Array | undefined;
  /** SHA-256 of the bytes as stored, 32 bytes. The CID is no such digest when content is encrypted. */
  readonly digest?: Uint8Array | undefined;
  /** Length of the bytes. */
  readonly size?: number | undefined;
}

/** One request to the blob store itself, which its receiver may send, as it is, until it expires. */
export interface DirectRequest {
  /** Where to send it. Holds the signature: not for logs. */
  readonly url: string;
  /** Headers to send along; they are part of what is signed. */
  readonly headers: Readonly<Record<string, string>>;
}

/** A blob as the server hands it out: inside the answer (`bytes`) or at a signed `url`. */
export interface BlobAnswer extends BlobRef {
  /** Length of the bytes. */
  readonly size: number;
  /** SHA-256 of the bytes as stored, 32 bytes. */
  readonly digest: Uint8Array;
  /** The blob itself, within the answer's budget. */
  readonly bytes?: Uint8Array | undefined;
  /** Where to fetch it otherwise, for some minutes. */
  readonly url?: string | undefined;
  /** Beside `url`: the same by a GET of the store itself, which may be out of reach. */
  readonly direct?: DirectRequest | undefined;
}

/** A blob of a ledger and its size, to plan a download by. */
export interface BlobListing extends BlobRef {
  /** Length of the bytes. */
  readonly size: number;
}

/** A record naming the newest blobs of a commit; the ledger's metas are its heads. */
export interface Meta {
  /** CID of `data`. */
  readonly cid: string;
  /** CIDs of the metas that the writer knew. */
  readonly parents: readonly string[];
  /** The record itself, opaque to the server. */
  readonly data: Uint8Array;
  /** Blobs that must be stored before anybody hears of this meta. */
  readonly blobs: readonly BlobRef[];
}

/** A stretch of a ledger: what lies between two cursors, or the heads after a `reset`. */
export interface Changes {
  /** The position these follow; nil after a `reset`. */
  readonly after: string | null;
  /** The position behind them. */
  readonly cursor: string;
  /** The metas are all heads of the ledger: forget the position held so far. */
  readonly reset: boolean;
  /** New heads, oldest first. */
  readonly metas: readonly Meta[];
  /** Keys that came with these metas (all of the ledger's after a `reset`). */
  readonly keys: readonly string[];
  /** Small blobs that came with these metas, to save the question. */
  readonly blobs: readonly BlobAnswer[];
  /** Blobs in use, newest first, when an `inventory` was asked for and this is a `reset`. */
  readonly inventory?: readonly BlobListing[] | undefined;
  /** More lies behind `cursor` already: it follows at once (`watch`), or ask again (`poll`). */
  readonly more: boolean;
}

const bytes = v.custom<Uint8Array>((value) => value instanceof Uint8Array, "must be binary");
const digest = v.pipe(bytes, v.check((value) => value.length === 32, "must be 32 bytes"));
const count = v.pipe(v.number(), v.safeInteger("must be an integer"), v.minValue(0));

/** Binary of at most so many bytes. */
export function bytesUpTo(maxBytes: number) {
  return v.pipe(bytes, v.check((value) => value.length <= maxBytes, `exceeds ${maxBytes} bytes`));
}

/** A list of at most {@linkcode maxListItems} items; absent means empty. */
export function listOf<const S extends v.GenericSchema>(item: S, maxItems = maxListItems) {
  return v.optional(v.pipe(v.array(item), v.maxLength(maxItems)), []);
}

/** A tenant's or a ledger's own name: letters, digits, `.`, `_` and `-`, up to 64 of them. */
const ledgerPart = "[A-Za-z0-9][A-Za-z0-9._-]{0,63}";
/** A ledger's name without its tenant. */
export const ledgerNameSchema = v.pipe(v.string(), v.regex(new RegExp(`^${ledgerPart}$`)));
/** `tenant/ledger`: two such names. */
export const ledgerSchema = v.pipe(
  v.string(),
  v.regex(new RegExp(`^${ledgerPart}\\/${ledgerPart}$`), "is no tenant/ledger"),
);

/** Whether a text is a ledger's full name. */
export function isLedgerId(text: string): boolean {
  return v.is(ledgerSchema, text);
}

/** The tenant and the ledger's own name, of a ledger's full name. */
export function splitLedger(ledger: string): readonly [tenant: string, name: string] {
  const slash = ledger.indexOf("/");
  return [ledger.slice(0, slash), ledger.slice(slash + 1)];
}

export const cidSchema = v.pipe(v.string(), v.check(isCid, "is no CID (v1, base32, sha2-256)"));
export const cursorSchema = v.pipe(v.string(), v.maxLength(128));
export const tokenSchema = v.pipe(v.string(), v.maxLength(maxTokenLength));
export const keySchema = v.pipe(v.string(), v.minLength(1), v.maxLength(maxKeyLength));
export const countSchema = count;
export const digestSchema = digest;
export const bytesSchema = bytes;
export const storeSchema = v.picklist(["car", "file"]);

const refEntries = { store: storeSchema, cid: cidSchema };

export const blobRefSchema = v.strictObject(refEntries);

export const blobUploadSchema = v.pipe(
  v.strictObject({
    ...refEntries,
    bytes: v.optional(bytes),
    digest: v.optional(digest),
    size: v.optional(count),
  }),
  v.check(
    (blob) => blob.bytes !== undefined || (blob.digest !== undefined && blob.size !== undefined),
    "needs `bytes`, or `digest` and `size` of what was uploaded",
  ),
);

export const directRequestSchema = v.strictObject({
  url: v.string(),
  headers: v.record(v.string(), v.string()),
});

export const blobAnswerSchema = v.strictObject({
  ...refEntries,
  size: count,
  digest,
  bytes: v.optional(bytes),
  url: v.optional(v.string()),
  direct: v.optional(directRequestSchema),
});

export const blobListingSchema = v.strictObject({ ...refEntries, size: count });

export const metaSchema = v.strictObject({
  cid: cidSchema,
  parents: listOf(cidSchema),
  data: bytesUpTo(maxMetaBytes),
  blobs: listOf(blobRefSchema),
});

const changesEntries = {
  after: v.nullable(cursorSchema),
  cursor: cursorSchema,
  reset: v.boolean(),
  metas: v.array(metaSchema),
  keys: v.array(keySchema),
  blobs: v.array(blobAnswerSchema),
  inventory: v.optional(v.array(blobListingSchema)),
  more: v.boolean(),
};

export const changesSchema = v.strictObject(changesEntries);
/** The same, saying of which ledger: the notification to its watchers. */
export const ledgerChangesSchema = v.strictObject({ ledger: ledgerSchema, ...changesEntries });

export const limitsSchema = v.strictObject({
  messageBytes: count,
  inlineBytes: count,
  inlineBlobBytes: count,
  blobBytes: count,
});

/** Whether two types are the same, for the compiler. */
export type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2)
  ? true
  : false;
/** A type with everything inside it read-only, so that schemas and interfaces can be compared. */
export type Deep<T> = T extends Uint8Array ? T
  : T extends readonly (infer I)[] ? readonly Deep<I>[]
  : T extends object ? { readonly [K in keyof T]: Deep<T[K]> }
  : T;
/** Refuses, at compile time, a schema and an interface that drifted apart. */
export type Matches<S extends v.GenericSchema, I> = Same<Deep<v.InferOutput<S>>, Deep<I>>;

true satisfies Matches<typeof blobRefSchema, BlobRef>;
true satisfies Matches<typeof blobUploadSchema, BlobUpload>;
true satisfies Matches<typeof directRequestSchema, DirectRequest>;
true satisfies Matches<typeof blobAnswerSchema, BlobAnswer>;
true satisfies Matches<typeof blobListingSchema, BlobListing>;
true satisfies Matches<typeof metaSchema, Meta>;
true satisfies Matches<typeof changesSchema, Changes>;
