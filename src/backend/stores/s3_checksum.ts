/** The checksum by which S3 takes the bytes of a blob and no others, and tells of them later. */

import { Buffer } from "node:buffer";
import type { BlobKey } from "./blob_store.ts";

const header = "x-amz-checksum-sha256";

/** The header that, sent with an upload, makes S3 refuse other bytes. */
export function checksumOf({ digest }: Pick<BlobKey, "digest">): Readonly<Record<string, string>> {
  return { [header]: Buffer.from(digest).toString("base64") };
}

/** The header that makes S3 tell the checksum of an object. */
export const tellChecksum: Readonly<Record<string, string>> = { "x-amz-checksum-mode": "ENABLED" };

/** Whether an object is a blob: `unsure` when its bytes may be others. */
export type Judgement = "other" | "unsure" | "blob";

/**
 * Judges the object under a blob's key by what S3 tells of it. The key holds the digest, so readers
 * would find out about other bytes; by then a head would name a blob that nobody has.
 *
 * - Another size, or another SHA-256: something else has been put there.
 * - The same SHA-256: S3 has made sure of the bytes.
 * - A SHA-256 made of those of parts (`…-3`) says nothing of the whole. Parts are put together by
 *   who has the credentials, which is this server, and it has checked the whole before. A signed
 *   request cannot do so.
 * - No SHA-256: the S3 server keeps none, or the object has not come by a request that was signed
 *   here. Nobody can tell without reading it.
 */
export function judgeObject(key: BlobKey, headers: Headers): Judgement {
  if (headers.get("content-length") !== String(key.size)) return "other";
  const checksum = headers.get(header);
  if (checksum === null) return "unsure";
  return checksum.includes("-") || checksum === checksumOf(key)[header] ? "blob" : "other";
}
