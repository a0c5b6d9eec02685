/** Requests that clients send to S3 themselves: signed here, and only where S3 keeps to what was signed. */

import { createHash, randomUUID } from "node:crypto";
import { HearthError } from "../../protocol/errors.ts";
import type { DirectRequest } from "../../protocol/model.ts";
import type { BlobKey } from "./blob_store.ts";
import { checksumOf } from "./s3_checksum.ts";
import type { S3Client, S3Request } from "./s3_client.ts";
import { objectKeyOf, type S3Place } from "./s3_place.ts";

/** S3 takes no more in one request; larger uploads, in parts, go through the server. */
export const maxPutBytes = 5 * 2 ** 30;
/** A week: S3 signs for no longer. */
const maxExpiresSeconds = 604_800;
/** Of the request that proves what S3 refuses. */
const probeSeconds = 60;

/** Signs for one bucket. */
export class S3Signing {
  readonly #place: S3Place;
  readonly #client: S3Client;

  constructor(place: S3Place, client: S3Client) {
    this.#place = place;
    this.#client = client;
  }

  /** Signs a download, as `DirectBlobStore` says. */
  async get(key: BlobKey, expiresSeconds: number): Promise<DirectRequest> {
    checkExpiry(expiresSeconds);
    const { url } = await this.#client.sign({
      method: "GET",
      objectKey: objectKeyOf(this.#place, key),
      // What strangers have uploaded must not be shown as a page.
      query: {
        "response-content-type": "application/octet-stream",
        "response-content-disposition": "attachment",
      },
      presign: { expiresSeconds, endpoint: this.#place.clientEndpoint },
    });
    return { url: url.href, headers: {} };
  }

  /** Signs an upload, as `DirectBlobStore` says. */
  async put(key: BlobKey, expiresSeconds: number): Promise<DirectRequest> {
    checkExpiry(expiresSeconds);
    const { url } = await this.#client.sign({
      ...this.#toPut(key),
      presign: { expiresSeconds, endpoint: this.#place.clientEndpoint },
    });
    // The length is signed and not handed out: every client writes it by itself.
    return { url: url.href, headers: checksumOf(key) };
  }

  /**
   * Makes sure that S3 refuses other bytes than were signed, by sending some. A server that takes
   * them would let a writer, whose URL outlives the commit, replace what was committed (G10).
   *
   * @throws {HearthError} `INTERNAL` when it takes them; else as `S3Client.send` does
   */
  async check(): Promise<void> {
    const { bucket } = this.#place;
    const [signed, sent] = [new Uint8Array([0]), new Uint8Array([1])];
    const digest = new Uint8Array(createHash("sha256").update(signed).digest());
    const key: BlobKey = {
      ledger: "hearth/probe",
      store: "car",
      // No CID, so that no ledger can have a blob of this name.
      cid: randomUUID(),
      digest,
      size: signed.length,
    };
    const { status } = await this.#client.send({
      ...this.#toPut(key),
      what: `see whether bucket "${bucket}" refuses what was not signed`,
      action: "PutObject",
      body: sent,
      presign: { expiresSeconds: probeSeconds },
      answers: [400],
    });
    if (status === 400) return;
    await this.#client.send({
      objectKey: objectKeyOf(this.#place, key),
      what: `remove a probe from bucket "${bucket}"`,
      action: "DeleteObject",
      method: "DELETE",
      answers: [404],
    });
    throw new HearthError(
      "INTERNAL",
      `Cannot let clients use bucket "${bucket}" directly: the S3 server takes other bytes than ` +
        "were signed (it does not check x-amz-checksum-sha256); set direct=false",
    );
  }

  #toPut(key: BlobKey): Omit<S3Request, "what" | "action"> {
    return {
      method: "PUT",
      objectKey: objectKeyOf(this.#place, key),
      headers: { ...checksumOf(key), "content-length": String(key.size) },
    };
  }
}

function checkExpiry(expiresSeconds: number): void {
  const isFine = Number.isInteger(expiresSeconds) && expiresSeconds >= 1 &&
    expiresSeconds <= maxExpiresSeconds;
  if (isFine) return;
  throw new RangeError(
    `Cannot sign a URL for ${expiresSeconds} s: allowed is 1 to ${maxExpiresSeconds}`,
  );
}
