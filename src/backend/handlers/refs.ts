/** Compares blobs by their names. */

import type { BlobRef } from "../../protocol/model.ts";
import { refKey } from "../stores/names.ts";

/** Those of the first list that the second does not name; each once. */
export function namesBeyond(
  refs: readonly BlobRef[],
  known: readonly BlobRef[],
): BlobRef[] {
  const seen = new Set(known.map(refKey));
  return refs.flatMap(({ store, cid }) => {
    const text = refKey({ store, cid });
    if (seen.has(text)) return [];
    seen.add(text);
    return [{ store, cid }];
  });
}
