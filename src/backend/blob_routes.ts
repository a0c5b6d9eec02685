/** `/v1/blobs/…`: one blob in or out by a signed URL, streamed, whatever its size. */

import type { IncomingMessage } from "node:http";
import { HearthError } from "../protocol/errors.ts";
import { toPublicError } from "./dispatch.ts";
import type { Services } from "./handler.ts";
import { errorResponse, withoutKeepAlive } from "./http_answer.ts";
import { readPieces } from "./http_body.ts";
import type { BlobKey } from "./stores/blob_store.ts";

/** Serves a signed URL. @param incoming where the request's body comes from */
export async function answerBlob(
  services: Services,
  request: Request,
  incoming: IncomingMessage,
): Promise<Response> {
  const start = performance.now();
  let key: BlobKey | undefined;
  let response: Response;
  let code = "OK";
  try {
    const url = new URL(request.url);
    const grant = services.urls.check(request.method, url, services.clock.now());
    key = grant.key;
    response = grant.method === "PUT"
      ? await put(services, key, incoming)
      : await get(services, key);
  } catch (cause) {
    const error = toPublicError(services, cause);
    code = error.code;
    response = errorResponse(error);
  }
  services.log.debug("request", {
    via: "http",
    ledger: key?.ledger,
    method: request.method === "PUT" ? "PUT blob" : "GET blob",
    ms: Math.round((performance.now() - start) * 10) / 10,
    code,
    bytes: key?.size,
  });
  return response;
}

async function put(
  services: Services,
  key: BlobKey,
  incoming: IncomingMessage,
): Promise<Response> {
  const declared = incoming.headers["content-length"];
  if (declared !== undefined && Number(declared) !== key.size) {
    throw new HearthError(
      "DIGEST_MISMATCH",
      `Cannot store blob "${key.store}/${key.cid}": the body is not of ${key.size} bytes`,
    );
  }
  // A URL may be used again: nothing changes, and nothing needs to be read.
  if (await services.blobStore.has(key)) {
    return withoutKeepAlive(new Response(null, { status: 200 }));
  }
  await services.blobStore.put(key, readPieces(incoming, services.clock, "DIGEST_MISMATCH"));
  return new Response(null, { status: 201 });
}

async function get({ metaStore, blobStore }: Services, key: BlobKey): Promise<Response> {
  const { ledger, store, cid, size } = key;
  const body = await blobStore.get(key) ?? await fromDatabase();
  if (!body) {
    throw new HearthError("NOT_FOUND", `Cannot read blob "${store}/${cid}": it is not there`);
  }
  return new Response(toBody(body), { headers: { ...blobHeaders, "content-length": `${size}` } });

  async function fromDatabase(): Promise<Uint8Array | undefined> {
    const [found] = await metaStore.findBlobs(ledger, [{ store, cid }]);
    return found?.digest.every((byte, at) => byte === key.digest[at]) ? found.bytes : undefined;
  }
}

/** What strangers have uploaded must never run as a page of this origin. */
export const blobHeaders = {
  "content-type": "application/octet-stream",
  "content-disposition": "attachment",
  "content-security-policy": "default-src 'none'; sandbox",
  "x-content-type-options": "nosniff",
  "cross-origin-resource-policy": "cross-origin",
  "referrer-policy": "no-referrer",
  "cache-control": "private, max-age=31536000, immutable",
};

/** What a response takes. */
export function toBody(
  body: Uint8Array | AsyncIterable<Uint8Array>,
): Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> {
  // Stored bytes are never shared memory, which is all that the wider type leaves open.
  if (body instanceof Uint8Array) return body as Uint8Array<ArrayBuffer>;
  const pieces = body[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await pieces.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await pieces.return?.();
    },
  });
}
