/**
 * What the server needs of a place for large blobs. Every implementation passes
 * `tests/conformance/blob_store.ts`.
 *
 * Promises: bytes are durable when `put` resolves (G2) and are what their digest says, when they
 * are written and each time they are read (G10); an upload that fails leaves nothing behind.
 */

import type { StoreName } from "../../protocol/model.ts";
import type { LedgerId } from "./meta_store.ts";

/** Up to this size the database keeps a blob, so that a commit is one write to disk. */
export const maxDatabaseBlobBytes = 64 << 10;

/**
 * Names bytes. The digest belongs to the name: two devices may upload different ciphertexts of one
 * CID, and which of them the ledger keeps is decided by the first commit, not by the first upload.
 */
export interface BlobKey {
  readonly ledger: LedgerId;
  readonly store: StoreName;
  readonly cid: string;
  /** SHA-256 of the bytes. */
  readonly digest: Uint8Array;
  readonly size: number;
}

/** A place for large blobs. */
export interface BlobStore extends AsyncDisposable {
  /**
   * Stores a blob durably; one that is there already is left as it is.
   *
   * @throws {HearthError} `DIGEST_MISMATCH` when the bytes are not those of the key,
   * `STORAGE_FULL` when there is no room
   */
  put(key: BlobKey, body: AsyncIterable<Uint8Array>): Promise<void>;
  /** Whether the blob is stored, whole. */
  has(key: BlobKey): Promise<boolean>;
  /**
   * Reads a blob; nothing when it is not stored. The last piece is held back until the digest of
   * the whole has been checked, so a reader never completes a corrupt blob.
   *
   * @throws {HearthError} `INTERNAL` while reading, when the stored bytes are not those of the key
   */
  get(key: BlobKey): Promise<AsyncIterable<Uint8Array> | undefined>;
  /** Removes a blob, if it is there. */
  delete(key: BlobKey): Promise<void>;
}
