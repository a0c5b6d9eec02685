/** The embedded BlobStore: one file a blob, on the disk before `put` resolves. */

import { splitLedger } from "../../protocol/model.ts";
import { Buffer } from "node:buffer";
import { randomUUID } from "node:crypto";
import { type FileHandle, link, open, readdir, rename, rm, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { HearthError } from "../../protocol/errors.ts";
import { BlobCheck, checkBody } from "./blob_check.ts";
import type { BlobKey, BlobStore } from "./blob_store.ts";
import { DirectoryTree, makeDirectory, syncDirectory } from "./durable_directory.ts";
import { nameOf } from "./names.ts";

/** Options of {@linkcode openDisk}. */
export interface DiskOptions {
  /** Where the blobs lie; made when it is not there. */
  readonly directory: string;
  /**
   * How long nothing was written to an upload before it counts as left behind by a dead process;
   * 0 when no other process shares the directory.
   *
   * @default 3600000
   */
  readonly staleMs?: number | undefined;
  /** Epoch ms. @default Date.now */
  readonly now?: (() => number) | undefined;
}

/** Opens or makes the directory, and removes what dead processes left in it. */
export async function openDisk(
  { directory, staleMs = 3_600_000, now = Date.now }: DiskOptions,
): Promise<BlobStore> {
  const root = resolve(directory);
  const incoming = join(root, incomingName);
  await makeDirectory(incoming);
  await sweep(incoming, now() - staleMs);
  return new DiskStore(root, incoming);
}

/** Where uploads grow: in the same file system, under a name that no tenant can have. */
const incomingName = ".incoming";
/** Bytes read at once. */
const pieceBytes = 64 << 10;

class DiskStore implements BlobStore {
  readonly #root: string;
  readonly #incoming: string;
  readonly #directories: DirectoryTree;

  constructor(root: string, incoming: string) {
    this.#root = root;
    this.#incoming = incoming;
    this.#directories = new DirectoryTree(root);
  }

  async put(key: BlobKey, body: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      if (!await this.has(key)) await this.#store(key, body);
      // Also for a blob that is there: whoever put it may not have come this far yet.
      await syncDirectory(await this.#directories.make(directoryNames(key)));
    } catch (error) {
      throw toStoreError(error, key);
    }
  }

  async has(key: BlobKey): Promise<boolean> {
    const found = await orAbsent(stat(this.#pathOf(key)));
    return found !== undefined && found.size === key.size;
  }

  async get(key: BlobKey): Promise<AsyncIterable<Uint8Array> | undefined> {
    const path = this.#pathOf(key);
    return await orAbsent(stat(path)) && readPieces(path, key);
  }

  async delete(key: BlobKey): Promise<void> {
    await rm(this.#pathOf(key), { force: true });
  }

  // Each call closes what it opens: there is nothing to end.
  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  async #store(key: BlobKey, body: AsyncIterable<Uint8Array>): Promise<void> {
    const upload = join(this.#incoming, randomUUID());
    try {
      await writeUpload(upload, key, body);
      await this.#directories.make(directoryNames(key));
      await this.#publish(upload, key);
    } finally {
      await rm(upload, { force: true });
    }
  }

  /** A link, unlike a rename, never replaces a file that somebody may be reading. */
  async #publish(upload: string, key: BlobKey): Promise<void> {
    const path = this.#pathOf(key);
    try {
      await link(upload, path);
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw error;
      // A file of another size was damaged since: these bytes, which were just checked, heal it.
      if (!await this.has(key)) await rename(upload, path);
    }
  }

  #pathOf(key: BlobKey): string {
    const digest = Buffer.from(key.digest).toString("hex");
    return join(this.#root, ...directoryNames(key), `${key.cid}.${digest}`);
  }
}

/** `tenant/ledger/store/last two characters of the CID`: those are spread evenly, the first are not. */
function directoryNames({ ledger, store, cid }: BlobKey): readonly string[] {
  return [...splitLedger(ledger).map(escapeName), store, cid.slice(-2)];
}

/**
 * Some file systems take `A` for `a` and `a.` for `a`: whatever but lower-case letters, digits, `_`
 * and `-` is written as its code, so that no two names meet and none climbs out of the directory.
 */
function escapeName(name: string): string {
  return name.replaceAll(
    /[^a-z0-9_-]/g,
    (character) => `=${character.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}

async function writeUpload(
  path: string,
  key: BlobKey,
  body: AsyncIterable<Uint8Array>,
): Promise<void> {
  await using file = await open(path, "wx", 0o600);
  for await (const piece of checkBody(key, body)) await writeAll(file, piece);
  await file.sync();
}

async function writeAll(file: FileHandle, piece: Uint8Array): Promise<void> {
  for (let at = 0; at < piece.length;) {
    const { bytesWritten } = await file.write(piece, at, piece.length - at);
    at += bytesWritten;
  }
}

async function* readPieces(path: string, key: BlobKey): AsyncGenerator<Uint8Array> {
  await using file = await open(path, "r");
  const check = new BlobCheck(key);
  let held: Uint8Array | undefined;
  while (true) {
    const { bytesRead, buffer } = await file.read(new Uint8Array(pieceBytes), 0, pieceBytes, null);
    if (bytesRead === 0) break;
    const piece = buffer.subarray(0, bytesRead);
    if (!check.add(piece)) throw corrupt(key);
    if (held) yield held;
    held = piece;
  }
  if (!check.complete()) throw corrupt(key);
  if (held) yield held;
}

async function sweep(incoming: string, before: number): Promise<void> {
  for (const name of await readdir(incoming)) {
    const path = join(incoming, name);
    const found = await orAbsent(stat(path));
    if (found && found.mtimeMs <= before) await rm(path, { force: true });
  }
}

async function orAbsent<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

function toStoreError(error: unknown, key: BlobKey): unknown {
  const code = codeOf(error);
  if (code !== "ENOSPC" && code !== "EDQUOT") return error;
  return new HearthError("STORAGE_FULL", `Cannot store ${nameOf(key)}: the disk has no room left`, {
    cause: error,
  });
}

function corrupt(key: BlobKey): HearthError {
  return new HearthError(
    "INTERNAL",
    `Cannot read ${nameOf(key)}: the bytes on the disk are not those that were stored`,
  );
}
