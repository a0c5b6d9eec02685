/**
 * The BlobStore in a bucket of S3 or of a server that speaks like it.
 *
 * Whoever has the credentials needs `s3:ListBucket`, `s3:GetObject`, `s3:PutObject`,
 * `s3:DeleteObject` and `s3:AbortMultipartUpload`. A process that dies leaves the parts of its
 * uploads behind: a lifecycle rule of the bucket (`AbortIncompleteMultipartUpload`) removes them.
 */

import { backoffMs } from "../../base/backoff.ts";
import { type Clock, pause, systemClock } from "../../base/clock.ts";
import { Semaphore } from "../../base/semaphore.ts";
import { HearthError } from "../../protocol/errors.ts";
import type { DirectRequest } from "../../protocol/model.ts";
import { cutParts } from "./blob_parts.ts";
import type { BlobKey } from "./blob_store.ts";
import type { DirectBlobStore } from "./direct_blob_store.ts";
import { KeyTurns } from "./key_turns.ts";
import { nameOf } from "./names.ts";
import { S3Client, type S3Request } from "./s3_client.ts";
import { checksumOf, type Judgement, judgeObject, tellChecksum } from "./s3_checksum.ts";
import { maxPutBytes, S3Signing } from "./s3_direct.ts";
import { checkDownload, type DownloadOptions, readDownload } from "./s3_download.ts";
import { MultipartUpload } from "./s3_multipart.ts";
import { readS3Limits, type S3Options } from "./s3_options.ts";
import { objectKeyOf } from "./s3_place.ts";

/** S3 takes no more. */
const maxParts = 10_000;
const absent = { "if-none-match": "*" };

/**
 * Opens a bucket, which must be there.
 *
 * @throws {HearthError} `UNAVAILABLE` when S3 does not answer, `INTERNAL` when the bucket is not
 * there, the credentials are refused, or clients may not be let in (see {@linkcode S3Signing.check})
 * @throws {RangeError} when an option is out of its bounds
 */
export async function openS3(options: S3Options): Promise<DirectBlobStore> {
  const store = new S3Store(options);
  await store.check();
  return store;
}

class S3Store implements DirectBlobStore {
  readonly maxPutBytes = maxPutBytes;
  readonly #options: S3Options;
  readonly #partBytes: number;
  readonly #client: S3Client;
  readonly #signing: S3Signing;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #maxAttempts: number;
  readonly #deadlineMs: number;
  /** Bytes of uploads in memory. */
  readonly #room: Semaphore;
  /** Side by side, the puts of one blob would all send it; one after the other, the first does. */
  readonly #turns = new KeyTurns();

  constructor(options: S3Options) {
    const { partBytes, maxConcurrent, maxAttempts } = readS3Limits(options);
    this.#options = options;
    this.#partBytes = partBytes;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#maxAttempts = maxAttempts;
    this.#deadlineMs = options.timeouts?.deadlineMs ?? 60_000;
    this.#room = new Semaphore(maxConcurrent * partBytes);
    this.#client = new S3Client({
      place: options,
      maxConcurrent,
      maxAttempts,
      attemptMs: options.timeouts?.attemptMs ?? 15_000,
      deadlineMs: this.#deadlineMs,
      clock: this.#clock,
      random: this.#random,
      fetch: options.fetch ?? ((input, init) => fetch(input, init)),
    });
    this.#signing = new S3Signing(options, this.#client);
  }

  async check(): Promise<void> {
    const { bucket, clientEndpoint } = this.#options;
    const what = `open bucket "${bucket}"`;
    const { status } = await this.#client.send({
      what,
      action: "HeadBucket",
      method: "HEAD",
      answers: [404],
    });
    if (status === 404) throw new HearthError("INTERNAL", `Cannot ${what}: there is none`);
    if (clientEndpoint !== undefined) await this.#signing.check();
  }

  async put(key: BlobKey, body: AsyncIterable<Uint8Array>): Promise<void> {
    const partBytes = Math.max(this.#partBytes, Math.ceil(key.size / maxParts));
    // A look is cheap beside an upload in parts; a small blob is looked for by the upload itself.
    if (key.size > partBytes && await this.has(key)) return;
    const release = await this.#takeRoom(Math.min(key.size, partBytes), key);
    try {
      const parts = cutParts(key, body, partBytes);
      if (key.size > partBytes) await this.#putParts(key, parts);
      else for await (const whole of parts) await this.#putWhole(key, whole);
    } finally {
      release();
    }
  }

  async has(key: BlobKey): Promise<boolean> {
    const found = await this.#look(key);
    return found === "blob" || found === "unsure";
  }

  async holds(key: BlobKey): Promise<boolean> {
    const found = await this.#look(key);
    if (found !== "unsure") return found === "blob";
    // Where S3 keeps no checksums this makes every upload dear, and none wrong.
    const release = await this.#takeRoom(Math.min(key.size, this.#partBytes), key);
    try {
      const download = await this.#open(key);
      return download !== undefined && await checkDownload(download);
    } finally {
      release();
    }
  }

  async get(key: BlobKey): Promise<AsyncIterable<Uint8Array> | undefined> {
    const download = await this.#open(key);
    return download && readDownload(download);
  }

  async delete(key: BlobKey): Promise<void> {
    await this.#client.send({
      ...this.#about(key, "remove"),
      action: "DeleteObject",
      method: "DELETE",
      answers: [404],
    });
  }

  presignGet(key: BlobKey, expiresSeconds: number): Promise<DirectRequest> {
    return this.#signing.get(key, expiresSeconds);
  }

  presignPut(key: BlobKey, expiresSeconds: number): Promise<DirectRequest> {
    return this.#signing.put(key, expiresSeconds);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#client.close();
    return Promise.resolve();
  }

  /** What S3 tells of the object under a blob's key; nothing when there is none. */
  async #look(key: BlobKey): Promise<Judgement | undefined> {
    const { status, headers } = await this.#client.send({
      ...this.#about(key, "look for"),
      action: "HeadObject",
      method: "HEAD",
      headers: tellChecksum,
      answers: [404],
    });
    return status === 404 ? undefined : judgeObject(key, headers);
  }

  async #open(key: BlobKey): Promise<DownloadOptions | undefined> {
    const request: S3Request = {
      ...this.#about(key, "read"),
      action: "GetObject",
      method: "GET",
    };
    const first = await this.#client.open({ ...request, answers: [404] });
    if (first.status === 404) return undefined;
    return {
      key,
      first,
      openAt: (offset) => this.#client.open({ ...request, headers: { range: `bytes=${offset}-` } }),
      stallMs: this.#options.timeouts?.stallMs ?? 15_000,
      clock: this.#clock,
      random: this.#random,
    };
  }

  async #putWhole(key: BlobKey, body: Uint8Array<ArrayBuffer>): Promise<void> {
    const request: S3Request = {
      ...this.#about(key, "store"),
      action: "PutObject",
      method: "PUT",
      body,
      digest: key.digest,
    };
    await this.#turns.run(objectKeyOf(this.#options, key), async (waited) => {
      if (waited && await this.has(key)) return;
      const headers = checksumOf(key);
      let answer = await this.#client.send({
        ...request,
        headers: { ...headers, ...absent },
        answers: [412],
      });
      if (answer.status === 412) {
        if (await this.has(key)) return;
        // An object of another size was damaged: these bytes, which were just checked, heal it.
        answer = await this.#client.send({ ...request, headers });
      }
      // A server that does not repeat the checksum may not have looked at it.
      if (!answer.headers.has("x-amz-checksum-sha256")) await this.#confirm(key);
    });
  }

  async #putParts(key: BlobKey, parts: AsyncIterable<Uint8Array<ArrayBuffer>>): Promise<void> {
    const upload = new MultipartUpload({ client: this.#client, ...this.#about(key, "store") });
    let isCompleted = false;
    try {
      for await (const part of parts) await upload.add(part);
      isCompleted = await this.#turns.run(
        objectKeyOf(this.#options, key),
        (waited) => this.#complete(key, upload, waited),
      );
    } finally {
      if (!isCompleted) await this.#abort(upload);
    }
  }

  /** Whether the upload has become the object; it has not when the object was there before. */
  async #complete(key: BlobKey, upload: MultipartUpload, waited: boolean): Promise<boolean> {
    if (waited && await this.has(key)) return false;
    let { status } = await upload.complete(absent);
    if (status === 412) {
      if (await this.has(key)) return false;
      ({ status } = await upload.complete({}));
    }
    // Also when S3 does not know the upload: an attempt before, whose answer was lost, completed it.
    await this.#confirm(key);
    return status !== 404;
  }

  async #abort(upload: MultipartUpload): Promise<void> {
    try {
      await upload.abort();
    } catch (error) {
      // The caller is to hear why the upload failed, not that this did too.
      if (!(error instanceof HearthError)) throw error;
      this.#options.onLeftover?.(error);
    }
  }

  /** Makes sure that what was accepted is there, whole; some servers answer a moment before. */
  async #confirm(key: BlobKey): Promise<void> {
    for (let attempt = 1; !await this.has(key); attempt++) {
      if (attempt >= this.#maxAttempts) {
        throw new HearthError(
          "INTERNAL",
          `Cannot store ${nameOf(key)}: S3 has accepted it, and does not have it whole`,
        );
      }
      await pause(this.#clock, backoffMs(attempt - 1, this.#random()));
    }
  }

  async #takeRoom(bytes: number, key: BlobKey): Promise<() => void> {
    const late = new AbortController();
    const cancel = this.#clock.after(this.#deadlineMs, () => late.abort());
    try {
      return await this.#room.take(bytes, late.signal);
    } catch (cause) {
      throw new HearthError(
        "UNAVAILABLE",
        `Cannot store ${nameOf(key)}: too many uploads are under way`,
        { cause, details: { retryAfterMs: this.#deadlineMs } },
      );
    } finally {
      cancel();
    }
  }

  #about(key: BlobKey, verb: string): { readonly what: string; readonly objectKey: string } {
    return { what: `${verb} ${nameOf(key)}`, objectKey: objectKeyOf(this.#options, key) };
  }
}
