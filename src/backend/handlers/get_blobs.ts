/** `getBlobs`: several blobs at once, bytes up to the inline budget, then signed URLs. */

import type { BlobAnswer, DirectRequest } from "../../protocol/model.ts";
import { signDirect } from "../direct_requests.ts";
import type { Handler, Services } from "../handler.ts";
import { urlLifeMs } from "../signed_url.ts";
import type { LedgerId, StoredBlob } from "../stores/meta_store.ts";
import { refKey } from "../stores/names.ts";
import { namesBeyond } from "./refs.ts";

/** Hands out blobs, in the order asked; reads the bytes of those alone that fit into the answer. */
export const getBlobs: Handler<"getBlobs"> = async (services, params, { baseUrl }) => {
  const { ledger, blobs: refs, inlineBytes = Infinity } = params;
  const { metaStore, directBlobs, limits, urls, clock } = services;
  const budget = Math.min(inlineBytes, limits.inlineBytes);
  const found = await metaStore.findBlobs(ledger, refs, { maxBytes: directBlobs ? 0 : budget });
  const direct = await signAll(services, ledger, found, budget);
  let left = budget;
  for (const { url } of direct.values()) left -= url.length;
  // Requests to the store come before all bytes: each spares this server a blob.
  const wanted = directBlobs ? found.filter((blob) => blob.unread) : [];
  const read = wanted.length > 0 && left > 0
    ? await metaStore.findBlobs(ledger, wanted, { maxBytes: left })
    : found;
  const bytesOf = new Map(read.map((blob) => [refKey(blob), blob.bytes]));
  for (const bytes of bytesOf.values()) left -= bytes?.length ?? 0;
  const blobs: BlobAnswer[] = [];
  for (const blob of found) {
    const { store, cid, size, digest, unread } = blob;
    const key = refKey(blob);
    let bytes = bytesOf.get(key);
    if (!bytes && !unread && !direct.has(key) && size <= left) {
      left -= size;
      bytes = await readWhole(services, ledger, blob);
    }
    if (bytes) {
      blobs.push({ store, cid, size, digest, bytes });
      continue;
    }
    const url = urls.sign(baseUrl, {
      method: "GET",
      key: { ledger, store, cid, digest, size },
      expiresAt: clock.now() + urlLifeMs,
    });
    blobs.push({ store, cid, size, digest, url, direct: direct.get(key) });
  }
  return { blobs, missing: namesBeyond(refs, found) };
};

/**
 * Requests to the store, by blob. They count like bytes, so that an answer full of both is no larger.
 * A blob for whose request there is no room left goes through this server.
 */
async function signAll(
  services: Services,
  ledger: LedgerId,
  blobs: readonly StoredBlob[],
  budget: number,
): Promise<ReadonlyMap<string, DirectRequest>> {
  const requests = new Map<string, DirectRequest>();
  if (!services.directBlobs) return requests;
  let left = budget;
  for (const { store, cid, digest, size } of blobs) {
    const key = { ledger, store, cid, digest, size };
    const request = await signDirect(services, { method: "GET", key });
    if (!request) continue;
    left -= request.url.length;
    if (left < 0) break;
    requests.set(refKey(key), request);
  }
  return requests;
}

async function readWhole(
  { blobStore }: Services,
  ledger: LedgerId,
  { store, cid, digest, size }: StoredBlob,
): Promise<Uint8Array> {
  const body = await blobStore.get({ ledger, store, cid, digest, size });
  if (!body) throw new Error(`blob ${store}/${cid} of ${ledger} was committed and is gone`);
  const whole = new Uint8Array(size);
  let at = 0;
  for await (const piece of body) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
