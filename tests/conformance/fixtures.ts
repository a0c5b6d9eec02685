/** Small things to put into stores: blobs, metas and commits with real CIDs and digests. */

import { createHash } from "node:crypto";
import type { BlobKey } from "../../src/backend/stores/blob_store.ts";
import type { Commit, NewBlob } from "../../src/backend/stores/meta_store.ts";
import { formatCid } from "../../src/protocol/cid.ts";
import type { BlobRef, Meta, StoreName } from "../../src/protocol/model.ts";

/** The ledger of most tests. */
export const ledger = "acme/todos";

/** SHA-256. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("sha256").update(bytes).digest());
}

/** UTF-8 of a text. */
export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** The CID that stands for a name. */
export function cidOf(name: string): string {
  return formatCid(0x55, sha256(utf8(name)));
}

/** The name of a blob. */
export function refOf(name: string, store: StoreName = "car"): BlobRef {
  return { store, cid: cidOf(name) };
}

/** A small blob under the CID of its name; `text` are its bytes, as two devices may encrypt one car. */
export function blobOf(name: string, text = name, store: StoreName = "car"): Required<NewBlob> {
  const bytes = utf8(text);
  return { ...refOf(name, store), digest: sha256(bytes), size: bytes.length, bytes };
}

/** A blob whose bytes lie in a blob store. */
export function largeBlobOf(name: string, size: number, store: StoreName = "car"): NewBlob {
  return { ...refOf(name, store), digest: sha256(utf8(name)), size };
}

/** A meta under the CID of its name. */
export function metaOf(name: string, blobs: readonly BlobRef[] = []): Meta {
  const refs = blobs.map(({ store, cid }) => ({ store, cid }));
  return { cid: cidOf(name), parents: [cidOf(`before ${name}`)], data: utf8(name), blobs: refs };
}

/** A commit of these parts. */
export function commitOf(parts: Partial<Commit>): Commit {
  return {
    ledger,
    blobs: [],
    metas: [],
    keys: [],
    supersedes: [],
    retires: [],
    create: true,
    ...parts,
  };
}

/** What a client sends for one put: a blob and the meta that names it, both of this name. */
export function putOf(name: string, parts: Partial<Commit> = {}): Commit {
  const blob = blobOf(name);
  return commitOf({ blobs: [blob], metas: [metaOf(name, [blob])], ...parts });
}

/** The key of bytes in a blob store. */
export function keyOf(name: string, bytes: Uint8Array, parts: Partial<BlobKey> = {}): BlobKey {
  return { ledger, ...refOf(name), digest: sha256(bytes), size: bytes.length, ...parts };
}
