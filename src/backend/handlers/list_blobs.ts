/** `listBlobs`: all blobs of one store, retired ones included. */

import { HearthError } from "../../protocol/errors.ts";
import type { Handler } from "../handler.ts";

/** Names the blobs older than `before`, newest first; what is committed meanwhile moves no page. */
export const listBlobs: Handler<"listBlobs"> = async ({ metaStore }, params) => {
  const { ledger, store, before, limit } = params;
  // One more than asked for tells whether there is more.
  const found = await metaStore.listBlobs(ledger, store, limit + 1, before);
  if (found) return { blobs: found.slice(0, limit), more: found.length > limit };
  throw new HearthError(
    "NOT_FOUND",
    `Cannot list blobs before ${store}/${before}: "${ledger}" does not hold it`,
  );
};
