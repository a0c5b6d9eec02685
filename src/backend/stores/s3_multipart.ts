/** One multipart upload: nobody sees it before it is completed, and what fails is aborted. */

import { Buffer } from "node:buffer";
import { HearthError } from "../../protocol/errors.ts";
import type { S3Answer, S3Client } from "./s3_client.ts";

/** Options of {@linkcode MultipartUpload}. */
export interface MultipartOptions {
  readonly client: S3Client;
  readonly objectKey: string;
  /** What it is for, in errors: `store blob …`. */
  readonly what: string;
}

interface Part {
  readonly number: number;
  readonly etag: string;
  /** SHA-256, in base64. */
  readonly checksum: string;
}

/** Begins with its first part. */
export class MultipartUpload {
  readonly #options: MultipartOptions;
  readonly #parts: Part[] = [];
  #id: string | undefined;

  constructor(options: MultipartOptions) {
    this.#options = options;
  }

  /** Uploads the next part. @throws {HearthError} as `S3Client.send` does */
  async add(body: Uint8Array<ArrayBuffer>): Promise<void> {
    const { client, objectKey, what } = this.#options;
    const number = this.#parts.length + 1;
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", body));
    const checksum = Buffer.from(digest).toString("base64");
    const { headers } = await client.send({
      what,
      action: "UploadPart",
      method: "PUT",
      objectKey,
      query: { partNumber: String(number), uploadId: await this.#begin() },
      headers: { "x-amz-checksum-sha256": checksum },
      body,
      digest,
    });
    const etag = headers.get("etag");
    if (etag === null) throw this.#broken("UploadPart", "an ETag");
    this.#parts.push({ number, etag, checksum });
  }

  /**
   * Puts the parts together.
   *
   * @param condition what must hold of the object that is there
   * @returns the answer: also 404 when the upload is not known any more, 412 when the condition does
   * not hold
   * @throws {HearthError} as `S3Client.send` does
   */
  async complete(condition: Readonly<Record<string, string>>): Promise<S3Answer> {
    const { client, objectKey, what } = this.#options;
    const body = new TextEncoder().encode(completion(this.#parts));
    return await client.send({
      what,
      action: "CompleteMultipartUpload",
      method: "POST",
      objectKey,
      query: { uploadId: await this.#begin() },
      headers: { ...condition, "content-type": "application/xml" },
      body,
      digest: new Uint8Array(await crypto.subtle.digest("SHA-256", body)),
      answers: [404, 412],
    });
  }

  /** Removes what was uploaded, if anything. @throws {HearthError} as `S3Client.send` does */
  async abort(): Promise<void> {
    if (this.#id === undefined) return;
    const { client, objectKey } = this.#options;
    await client.send({
      what: `remove the parts of an upload to "${objectKey}"`,
      action: "AbortMultipartUpload",
      method: "DELETE",
      objectKey,
      query: { uploadId: this.#id },
      answers: [404],
    });
    this.#id = undefined;
  }

  async #begin(): Promise<string> {
    if (this.#id !== undefined) return this.#id;
    const { client, objectKey, what } = this.#options;
    const { text } = await client.send({
      what,
      action: "CreateMultipartUpload",
      method: "POST",
      objectKey,
      query: { uploads: "" },
      headers: { "x-amz-checksum-algorithm": "SHA256" },
    });
    const id = /<UploadId>([^<]{1,4096})<\/UploadId>/.exec(text)?.[1];
    if (id === undefined) throw this.#broken("CreateMultipartUpload", "an UploadId");
    this.#id = decodeXml(id);
    return this.#id;
  }

  #broken(action: string, lack: string): HearthError {
    const { what } = this.#options;
    return new HearthError("INTERNAL", `Cannot ${what}: S3 answers ${action} without ${lack}`);
  }
}

function completion(parts: readonly Part[]): string {
  const list = parts.map(({ number, etag, checksum }) =>
    `<Part><PartNumber>${number}</PartNumber><ETag>${encodeXml(etag)}</ETag>` +
    `<ChecksumSHA256>${checksum}</ChecksumSHA256></Part>`
  );
  const namespace = "http://s3.amazonaws.com/doc/2006-03-01/";
  return `<CompleteMultipartUpload xmlns="${namespace}">${list.join("")}</CompleteMultipartUpload>`;
}

function encodeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

const entities: Readonly<Record<string, string>> = {
  "&lt;": "<",
  "&gt;": ">",
  "&quot;": '"',
  "&apos;": "'",
  "&amp;": "&",
};

function decodeXml(text: string): string {
  return text.replaceAll(/&(?:lt|gt|quot|apos|amp);/g, (entity) => entities[entity] ?? entity);
}
