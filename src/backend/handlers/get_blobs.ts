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
  const found = await services.metaStore.findBlobs(ledger, refs, { bytes: false });
  let left = Math.min(inlineBytes, services.limits.inlineBytes);
  const direct = await signAll(services, ledger, found, left);
  for (const { url } of direct.values()) left -= url.length;
  const fits = found.map(({ size, ...ref }) => {
    if (size > left || direct.has(refKey(ref))) return false;
    left -= size;
    return true;
  });
  const inline = await services.metaStore.findBlobs(ledger, found.filter((_, at) => fits[at]));
  const bytesOf = new Map(inline.map((blob) => [refKey(blob), blob]));
  const blobs: BlobAnswer[] = [];
  for (const { store, cid, size, digest } of found) {
    const whole = bytesOf.get(refKey({ store, cid }));
    if (whole) {
      blobs.push({ store, cid, size, digest, bytes: await readWhole(services, ledger, whole) });
      continue;
    }
    const url = services.urls.sign(baseUrl, {
      method: "GET",
      key: { ledger, store, cid, digest, size },
      expiresAt: services.clock.now() + urlLifeMs,
    });
    blobs.push({ store, cid, size, digest, url, direct: direct.get(refKey({ store, cid })) });
  }
  return { blobs, missing: namesBeyond(refs, found) };
};

/**
 * Requests to the store, by blob. They come before all bytes, since each spares this server a blob,
 * and count like them, so that an answer full of both is no larger. A blob for whose request there
 * is no room left goes through this server.
 */
async function signAll(
  services: Services,
  ledger: LedgerId,
  blobs: readonly StoredBlob[],
  budget: number,
): Promise<ReadonlyMap<string, DirectRequest>> {
  const requests = new Map<string, DirectRequest>();
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
  { store, cid, digest, size, bytes }: StoredBlob,
): Promise<Uint8Array> {
  if (bytes) return bytes;
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
