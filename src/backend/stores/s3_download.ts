/** Reads a blob from S3: from where it stopped when it breaks off, and never a corrupt one to its end. */

import { backoffMs } from "../../base/backoff.ts";
import { type Clock, pause } from "../../base/clock.ts";
import { orAbort } from "../../base/or_abort.ts";
import { HearthError } from "../../protocol/errors.ts";
import { BlobCheck } from "./blob_check.ts";
import type { BlobKey } from "./blob_store.ts";
import { nameOf } from "./names.ts";
import type { S3Download } from "./s3_client.ts";

/** Options of {@linkcode readDownload}. */
export interface DownloadOptions {
  readonly key: BlobKey;
  /** The answer to the request for all of it. */
  readonly first: S3Download;
  /** Asks for the bytes from an offset on. */
  readonly openAt: (offset: number) => Promise<S3Download>;
  /** How long a body may pause. */
  readonly stallMs: number;
  readonly clock: Clock;
  readonly random: () => number;
}

/** Resumes in a row without so many bytes between; after more of them the download is given up. */
const maxResumes = 4;
const progressBytes = 1 << 20;

/**
 * The bytes of a blob, to be read once. The last piece is held back until the digest of the whole
 * has been checked.
 *
 * @throws {HearthError} while reading: `INTERNAL` when the bytes are not those of the key, or do not
 * come to their end; what `openAt` throws
 */
export function readDownload(options: DownloadOptions): AsyncIterable<Uint8Array> {
  const source = new Source(options);
  const pieces = checkedPieces(source, options);
  return {
    [Symbol.asyncIterator]: () => ({
      next: () => pieces.next(),
      // A generator that was not started would not end what was opened for it.
      return: async () => {
        source.end();
        return await pieces.return(undefined);
      },
    }),
  };
}

/**
 * Whether the bytes of a blob are those of its key; they are read to their end, and thrown away.
 *
 * @throws {HearthError} as {@linkcode readDownload} when they do not come to their end
 */
export async function checkDownload(options: DownloadOptions): Promise<boolean> {
  const source = new Source(options);
  const check = new BlobCheck(options.key);
  try {
    for (let piece = await source.next(); piece; piece = await source.next()) {
      if (!check.add(piece)) return false;
    }
    return check.complete();
  } finally {
    source.end();
  }
}

async function* checkedPieces(
  source: Source,
  { key, first }: DownloadOptions,
): AsyncGenerator<Uint8Array, undefined> {
  const check = new BlobCheck(key);
  const length = first.headers.get("content-length");
  let held: Uint8Array | undefined;
  try {
    // Nothing that comes could be the blob.
    if (length !== null && Number(length) !== key.size) throw corrupt(key);
    while (true) {
      const piece = await source.next();
      if (!piece) break;
      if (!check.add(piece)) throw corrupt(key);
      if (held) yield held;
      held = piece;
    }
    if (source.isEnded) return;
    if (!check.complete()) throw corrupt(key);
    if (held) yield held;
  } finally {
    source.end();
  }
}

/** The bytes as they come, over as many requests as it takes. */
class Source {
  readonly #options: DownloadOptions;
  #download: S3Download;
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #offset = 0;
  #resumes = 0;
  #resumedAt = 0;
  /** Whether nobody wants it any more. */
  isEnded = false;

  constructor(options: DownloadOptions) {
    this.#options = options;
    this.#download = options.first;
    this.#reader = options.first.body?.getReader();
  }

  /** The next piece; nothing at the end of the object, which may not be that of the blob. */
  async next(): Promise<Uint8Array | undefined> {
    const { key } = this.#options;
    while (true) {
      const { piece, cause } = await this.#read();
      if (piece) {
        this.#offset += piece.length;
        return piece;
      }
      if (this.isEnded || this.#offset >= key.size) return undefined;
      await this.#resume(cause);
    }
  }

  end(): void {
    this.isEnded = true;
    this.#download.end();
  }

  /** A piece, or nothing at the end, which a fault may have brought early. */
  async #read(): Promise<{ readonly piece?: Uint8Array; readonly cause?: unknown }> {
    if (!this.#reader) return {};
    const { clock, stallMs } = this.#options;
    const stalled = new AbortController();
    const cancel = clock.after(
      stallMs,
      () => stalled.abort(new Error(`nothing came for ${stallMs} ms`)),
    );
    try {
      const { value } = await orAbort(this.#reader.read(), stalled.signal);
      return value ? { piece: value } : {};
    } catch (cause) {
      return { cause };
    } finally {
      cancel();
    }
  }

  async #resume(cause: unknown): Promise<void> {
    const { key, clock, random, openAt } = this.#options;
    this.#download.end();
    if (this.#offset - this.#resumedAt >= progressBytes) this.#resumes = 0;
    this.#resumedAt = this.#offset;
    if (this.#resumes++ >= maxResumes) {
      const found = `S3 breaks off at byte ${this.#offset} of ${key.size} every time`;
      throw unreadable(key, found, cause);
    }
    await pause(clock, backoffMs(this.#resumes - 1, random()));
    const download = await openAt(this.#offset);
    this.#download = download;
    this.#reader = download.body?.getReader();
    const range = download.headers.get("content-range") ?? "";
    if (this.isEnded) download.end();
    else if (!range.startsWith(`bytes ${this.#offset}-`)) {
      download.end();
      const found = `S3 does not go on from byte ${this.#offset} (HTTP ${download.status})`;
      throw unreadable(key, found, cause);
    }
  }
}

function corrupt(key: BlobKey): HearthError {
  return unreadable(key, "the bytes in S3 are not those that were stored");
}

function unreadable(key: BlobKey, found: string, cause?: unknown): HearthError {
  return new HearthError("INTERNAL", `Cannot read ${nameOf(key)}: ${found}`, { cause });
}
