/** What a BlobStore offers besides, when clients can reach its bytes without the server between. */

import type { BlobKey, BlobStore } from "./blob_store.ts";

/** One request that its receiver may send, as it is, until it expires. */
export interface DirectRequest {
  readonly method: "GET" | "PUT";
  /** Holds the signature: not for logs. */
  readonly url: string;
  /** Headers to send along; they are part of what is signed. */
  readonly headers: Readonly<Record<string, string>>;
}

/** A BlobStore whose blobs can be reached by signed requests. */
export interface DirectBlobStore extends BlobStore {
  /**
   * Signs the download of a blob, which may not be there. Its receiver checks the digest.
   *
   * @param expiresSeconds 1 to 604800
   * @throws {RangeError} when `expiresSeconds` is another number
   */
  presignGet(key: BlobKey, expiresSeconds: number): Promise<DirectRequest>;
  /**
   * Signs the upload of a blob: of its size and digest, and no other. A blob that is there is
   * replaced by the same bytes.
   *
   * @param expiresSeconds 1 to 604800
   * @throws {RangeError} when `expiresSeconds` is another number
   */
  presignPut(key: BlobKey, expiresSeconds: number): Promise<DirectRequest>;
}
