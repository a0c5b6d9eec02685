/** `signUrl`: a URL that stands for one GET or PUT of one blob. */

import { HearthError } from "../../protocol/errors.ts";
import type { Params } from "../../protocol/methods.ts";
import { signDirect } from "../direct_requests.ts";
import type { Handler, Services } from "../handler.ts";
import { urlLifeMs } from "../signed_url.ts";
import type { BlobKey } from "../stores/blob_store.ts";

/** Signs. */
export const signUrl: Handler<"signUrl"> = async (services, params, { baseUrl }) => {
  const { method } = params;
  const key = method === "PUT" ? keyToPut(services, params) : await keyToGet(services, params);
  const expiresAt = Math.floor((services.clock.now() + urlLifeMs) / 1000) * 1000;
  const url = services.urls.sign(baseUrl, { method, key, expiresAt });
  return { url, expiresAt, direct: await signDirect(services, { method, key }) };
};

function keyToPut({ limits }: Services, params: Params<"signUrl">): BlobKey {
  const { ledger, store, cid, digest, size } = params;
  if (!digest || size === undefined) {
    throw new TypeError("Cannot sign: the schema let a PUT pass that has no digest or size");
  }
  if (size > limits.blobBytes) {
    throw new HearthError(
      "BAD_PARAMS",
      `Cannot sign a PUT of ${cid} to "${ledger}": ${size} bytes exceed ${limits.blobBytes}`,
    );
  }
  return { ledger, store, cid, digest, size };
}

async function keyToGet({ metaStore }: Services, params: Params<"signUrl">): Promise<BlobKey> {
  const { ledger, store, cid } = params;
  const [blob] = await metaStore.findBlobs(ledger, [{ store, cid }], { maxBytes: 0 });
  if (!blob) {
    throw new HearthError("NOT_FOUND", `Cannot sign a GET of ${cid}: "${ledger}" does not hold it`);
  }
  return { ledger, store, cid, digest: blob.digest, size: blob.size };
}
