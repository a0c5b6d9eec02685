/** Compares blobs by their names. */

import type { BlobRef } from "../../protocol/model.ts";

/** Those of the first list that the second does not name; each once. */
export function namesBeyond(
  refs: readonly BlobRef[],
  known: readonly BlobRef[],
): BlobRef[] {
  const seen = new Set(known.map(toText));
  return refs.flatMap(({ store, cid }) => {
    const text = toText({ store, cid });
    if (seen.has(text)) return [];
    seen.add(text);
    return [{ store, cid }];
  });
}

function toText({ store, cid }: BlobRef): string {
  return `${store}/${cid}`;
}
