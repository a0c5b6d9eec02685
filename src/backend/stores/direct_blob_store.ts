/** What a BlobStore offers besides, when clients can reach its bytes without the server between. */

import type { DirectRequest } from "../../protocol/model.ts";
import type { BlobKey, BlobStore } from "./blob_store.ts";

/** What signs requests to a store, and finds out what came of them. */
export interface DirectBlobs {
  /** Largest blob whose upload can be signed, in bytes. */
  readonly maxPutBytes: number;
  /**
   * Signs the download of a blob, by GET, which may not be there. Its receiver checks the digest.
   *
   * @param expiresSeconds 1 to 604800
   * @throws {RangeError} when `expiresSeconds` is another number
   */
  presignGet(key: BlobKey, expiresSeconds: number): Promise<DirectRequest>;
  /**
   * Signs the upload of a blob, by PUT: of its size and digest, and no other. A blob that is there
   * is replaced by the same bytes.
   *
   * @param expiresSeconds 1 to 604800
   * @throws {RangeError} when `expiresSeconds` is another number
   */
  presignPut(key: BlobKey, expiresSeconds: number): Promise<DirectRequest>;
  /**
   * Whether a blob is stored with the bytes of its key, of which none may have passed this server:
   * what a commit asks about an upload, since nobody's word counts for it (G9).
   *
   * @throws {HearthError} `UNAVAILABLE` when the store cannot be asked now
   */
  holds(key: BlobKey): Promise<boolean>;
}

/** A BlobStore whose blobs can be reached by signed requests. */
export interface DirectBlobStore extends BlobStore, DirectBlobs {}
