/** `commit`: blobs, metas and keys in one atomic, idempotent, durable step. */

import { equalBytes } from "../../base/bytes.ts";
import { namesDigest } from "../../protocol/cid.ts";
import { formatCursor } from "../../protocol/cursor.ts";
import { HearthError } from "../../protocol/errors.ts";
import type { Params } from "../../protocol/methods.ts";
import type { BlobRef, BlobUpload, Meta } from "../../protocol/model.ts";
import type { Handler, Services } from "../handler.ts";
import { sha256 } from "../sha256.ts";
import { maxDatabaseBlobBytes } from "../stores/blob_store.ts";
import type { Done, LedgerId, NewBlob } from "../stores/meta_store.ts";
import { namesBeyond } from "./refs.ts";

/** Commits. Everything is checked before anything is stored. */
export const commit: Handler<"commit"> = async (services, params) => {
  const { seq } = await keep(services, params);
  return { cursor: formatCursor({ epoch: services.metaStore.epoch, seq }) };
};

/**
 * What `commit` does, for whatever door.
 *
 * @throws {HearthError} as the row in PROTOCOL.md says
 */
export async function keep(services: Services, params: Params<"commit">): Promise<Done> {
  const { ledger, metas, keys, supersedes, retires } = params;
  for (const meta of metas) checkMeta(ledger, meta);
  const inline: NewBlob[] = [];
  const uploaded: NewBlob[] = [];
  for (const upload of params.blobs) {
    const blob = toNewBlob(services, ledger, upload);
    (blob.bytes ? inline : uploaded).push(blob);
  }
  const found = uploaded.length > 0 ? await findUploads(services, ledger, uploaded) : uploaded;
  const large = inline.filter(isLarge);
  if (large.length > 0) await storeLarge(services, ledger, large);
  const blobs = [...found, ...inline.map((it) => isLarge(it) ? { ...it, bytes: undefined } : it)];
  const outcome = await services.committer.commit({
    ledger,
    blobs,
    metas,
    keys,
    supersedes,
    retires,
    create: services.autoCreate,
  });
  switch (outcome.kind) {
    case "done":
      return outcome;
    case "missing":
      throw missingBlobs(ledger, outcome.blobs);
    case "unknown-ledger":
      throw new HearthError("LEDGER_UNKNOWN", `Cannot commit to "${ledger}": it does not exist`);
  }
}

function checkMeta(ledger: LedgerId, { cid, data }: Meta): void {
  if (namesDigest(cid, sha256(data))) return;
  throw new HearthError(
    "DIGEST_MISMATCH",
    `Cannot commit to "${ledger}": the data of meta ${cid} has another digest`,
  );
}

function toNewBlob({ limits }: Services, ledger: LedgerId, upload: BlobUpload): NewBlob {
  const { store, cid, bytes, digest, size } = upload;
  if (!bytes) {
    if (digest && size !== undefined) return { store, cid, digest, size };
    throw new TypeError("Cannot take a blob: the schema let one pass that has no digest");
  }
  if (bytes.length > limits.inlineBlobBytes) {
    throw new HearthError(
      "BAD_PARAMS",
      `Cannot commit to "${ledger}": blob ${cid} exceeds ${limits.inlineBlobBytes} bytes, ` +
        "upload it to a signed URL first",
    );
  }
  const actual = sha256(bytes);
  if ((size !== undefined && size !== bytes.length) || (digest && !equalBytes(actual, digest))) {
    throw new HearthError(
      "DIGEST_MISMATCH",
      `Cannot commit to "${ledger}": blob ${cid} is not what its digest and size say`,
    );
  }
  return { store, cid, digest: actual, size: bytes.length, bytes };
}

/**
 * Finds what was uploaded before, at the store itself: that a client says so counts for nothing, and
 * what it sent directly was seen by nobody here. A blob that the ledger has already, perhaps with other bytes,
 * needs no upload: its first bytes stay (G10).
 */
async function findUploads(
  { blobStore, directBlobs, metaStore }: Services,
  ledger: LedgerId,
  uploads: readonly NewBlob[],
): Promise<NewBlob[]> {
  const stored = await Promise.all(
    uploads.map(({ store, cid, digest, size }) => {
      const key = { ledger, store, cid, digest, size };
      return directBlobs ? directBlobs.holds(key) : blobStore.has(key);
    }),
  );
  const absent = uploads.filter((_, at) => !stored[at]);
  if (absent.length > 0) {
    const known = await metaStore.findBlobs(ledger, absent, { maxBytes: 0 });
    const missing = namesBeyond(absent, known);
    if (missing.length > 0) throw missingBlobs(ledger, missing);
  }
  return uploads.filter((_, at) => stored[at]);
}

function isLarge({ size }: NewBlob): boolean {
  return size > maxDatabaseBlobBytes;
}

async function storeLarge(
  { blobStore }: Services,
  ledger: LedgerId,
  blobs: readonly NewBlob[],
): Promise<void> {
  await Promise.all(
    blobs.map(({ store, cid, digest, size, bytes }) =>
      bytes && blobStore.put({ ledger, store, cid, digest, size }, once(bytes))
    ),
  );
}

function missingBlobs(ledger: LedgerId, blobs: readonly BlobRef[]): HearthError {
  return new HearthError(
    "MISSING_BLOBS",
    `Cannot commit to "${ledger}": ${blobs.length} of the blobs that it names are not stored`,
    { details: { blobs: blobs.map(({ store, cid }) => ({ store, cid })) } },
  );
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
