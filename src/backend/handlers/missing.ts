/** `missing`: which of these blobs the ledger does not have. */

import type { Handler } from "../handler.ts";
import { namesBeyond } from "./refs.ts";

/** Names the blobs that no commit of the ledger has named. */
export const missing: Handler<"missing"> = async ({ metaStore }, { ledger, blobs }) => {
  const known = await metaStore.findBlobs(ledger, blobs, { maxBytes: 0 });
  return { blobs: namesBeyond(blobs, known) };
};
