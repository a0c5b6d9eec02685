/** Which blobs clients move at the store itself, where the operator has switched that on. */

import type { DirectRequest } from "../protocol/model.ts";
import type { Services } from "./handler.ts";
import { type BlobGrant, urlLifeMs } from "./signed_url.ts";
import { maxDatabaseBlobBytes } from "./stores/blob_store.ts";

/**
 * Signs the request that does at the store what a signed URL does here, for as long; nothing when
 * there is none: small blobs are read here, since the database may have them, and uploads beyond
 * what the store takes in one request are cut into parts here.
 */
export async function signDirect(
  { directBlobs }: Pick<Services, "directBlobs">,
  { method, key }: Pick<BlobGrant, "method" | "key">,
): Promise<DirectRequest | undefined> {
  if (!directBlobs) return undefined;
  const seconds = urlLifeMs / 1000;
  if (method === "PUT") {
    return key.size > directBlobs.maxPutBytes
      ? undefined
      : await directBlobs.presignPut(key, seconds);
  }
  return key.size <= maxDatabaseBlobBytes ? undefined : await directBlobs.presignGet(key, seconds);
}
