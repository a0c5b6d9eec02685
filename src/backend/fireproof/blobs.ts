/** `/fp/blobs/…`: one blob or record in or out, by a signed URL. */

import { hash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { HearthError, statusOf } from "../../protocol/errors.ts";
import { maxWalBytes } from "../../protocol/limits.ts";
import { toPublicError } from "../dispatch.ts";
import { withoutKeepAlive } from "../http_answer.ts";
import { readPieces, readWhole } from "../http_body.ts";
import { blobHeaders, toBody } from "../blob_routes.ts";
import { keep } from "../handlers/commit.ts";
import { maxDatabaseBlobBytes } from "../stores/blob_store.ts";
import type { LedgerId, StoredBlob } from "../stores/meta_store.ts";
import type { UrlGrant } from "./blob_urls.ts";
import type { FireproofServices } from "./call.ts";
import { isAnnounced, releaseHeld } from "./held.ts";
import type { BlobRef } from "../../protocol/model.ts";

/** Largest blob of this door: its digest is not known before it is here, so it is held in memory. */
export const maxUploadBytes = 64 << 20;
/** All uploads in memory together; those beyond wait for room. */
export const maxUploadsBytes = 128 << 20;
/** How long an upload waits for room. */
const roomMs = 30_000;
/** How long a reader waits for a car that is announced. The client's fetch has no bound of its own. */
const lateMs = 10_000;

/** Serves a signed URL. @param incoming where the request's body comes from */
export async function answerFireproofBlob(
  services: FireproofServices,
  request: Request,
  incoming: IncomingMessage,
): Promise<Response> {
  try {
    const url = new URL(request.url);
    const grant = services.fireproofUrls.check(request.method, url, services.clock.now());
    return await (grant.store === "wal"
      ? answerRecord(services, grant, incoming)
      : answerBlob(services, grant, { store: grant.store, cid: grant.cid }, incoming));
  } catch (cause) {
    const error = toPublicError(services, cause);
    const response = new Response(error.message, { status: statusOf(error.code) });
    return withoutKeepAlive(response);
  }
}

async function answerBlob(
  services: FireproofServices,
  { method, ledger }: UrlGrant,
  ref: BlobRef,
  incoming: IncomingMessage,
): Promise<Response> {
  switch (method) {
    case "PUT":
      return await put(services, ledger, ref, incoming);
    case "GET":
      return await get(services, ledger, ref);
    case "DELETE":
      // A head may name the blob, now or by a reader who was away: what is kept stays.
      return new Response(null, { status: 204 });
  }
}

async function put(
  services: FireproofServices,
  ledger: LedgerId,
  ref: BlobRef,
  incoming: IncomingMessage,
): Promise<Response> {
  const maxBytes = Math.min(maxUploadBytes, services.limits.blobBytes);
  const [known] = await services.metaStore.findBlobs(ledger, [ref], { maxBytes: 0 });
  if (known) {
    // The first bytes stay (G10), and nothing is written. Read all the same, so that the client, which
    // uploads hundreds like this when it attaches, keeps its connection.
    let left = maxBytes;
    for await (const piece of readPieces(incoming, services.clock)) {
      left -= piece.length;
      if (left < 0) break;
    }
    return new Response(null, { status: 200 });
  }
  const declared = incoming.headers["content-length"];
  const leave = await takeRoom(services, Math.min(maxBytes, Number(declared ?? maxBytes)));
  try {
    const bytes = await readWhole(incoming, maxBytes, services.clock);
    await store(services, ledger, ref, bytes);
  } finally {
    leave();
  }
  services.late.came(ledger, ref);
  await releaseHeld(services, ledger, ref);
  return new Response(null, { status: 201 });
}

async function takeRoom({ uploads, stopping }: FireproofServices, bytes: number) {
  try {
    return await uploads.take(bytes, AbortSignal.any([stopping, AbortSignal.timeout(roomMs)]));
  } catch (cause) {
    throw new HearthError("UNAVAILABLE", "Cannot take the blob: too many come at once", { cause });
  }
}

/** Commits a blob by itself, so that it is durable before the client hears so. */
async function store(
  services: FireproofServices,
  ledger: LedgerId,
  { store, cid }: BlobRef,
  bytes: Uint8Array,
): Promise<void> {
  const size = bytes.length;
  const digest = new Uint8Array(hash("sha256", bytes, "buffer"));
  const isLarge = size > maxDatabaseBlobBytes;
  if (isLarge) await services.blobStore.put({ ledger, store, cid, digest, size }, once(bytes));
  const blob = isLarge ? { store, cid, digest, size } : { store, cid, bytes, digest, size };
  await keep(services, { ledger, blobs: [blob], metas: [], keys: [], supersedes: [], retires: [] });
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function get(
  services: FireproofServices,
  ledger: LedgerId,
  ref: BlobRef,
): Promise<Response> {
  const find = async (): Promise<StoredBlob | undefined> =>
    (await services.metaStore.findBlobs(ledger, [ref]))[0];
  const found = await find() ??
    // A 404 would keep the reader from this car as long as it runs.
    (await isAnnounced(services, ledger, ref)
      ? await services.late.wait(ledger, ref, lateMs, find)
      : undefined);
  if (!found) return new Response("Cannot read the blob: it is not there", { status: 404 });
  const { size, digest, bytes } = found;
  const body = bytes ?? await services.blobStore.get({ ledger, ...ref, digest, size });
  if (!body) throw new Error(`blob ${ref.store}/${ref.cid} of ${ledger} was committed and is gone`);
  return new Response(toBody(body), { headers: { ...blobHeaders, "content-length": `${size}` } });
}

/** So many times a record is written over another that came in between. */
const maxTurns = 3;

async function answerRecord(
  { metaStore, clock }: FireproofServices,
  { method, ledger, owner, cid: name }: UrlGrant,
  incoming: IncomingMessage,
): Promise<Response> {
  const key = { ledger, owner, name };
  const bytes = method === "PUT" ? await readWhole(incoming, maxWalBytes, clock) : undefined;
  for (let turn = 0; turn < maxTurns; turn++) {
    const { version, bytes: kept } = await metaStore.getWal(key);
    if (method === "GET") {
      return kept
        ? new Response(toBody(kept), { headers: { ...blobHeaders, "cache-control": "no-store" } })
        : new Response("Cannot read the record: it is not there", { status: 404 });
    }
    // The client knows of no versions: the last one wins.
    const { done } = bytes
      ? await metaStore.putWal(key, version, bytes)
      : await metaStore.deleteWal(key, version);
    if (done) return new Response(null, { status: bytes ? 200 : 204 });
  }
  throw new HearthError("UNAVAILABLE", "Cannot write the record: others write it all the time");
}
