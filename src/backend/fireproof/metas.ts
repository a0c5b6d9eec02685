/** Carries metas from the stock client's form to the protocol's and back. */

import * as v from "valibot";
import { HearthError } from "../../protocol/errors.ts";
import { maxKeys, maxListItems, maxMetaBytes } from "../../protocol/limits.ts";
import { keySchema, type Meta } from "../../protocol/model.ts";
import {
  cidOfBlock,
  fromBase64pad,
  makeMetaBlock,
  readMetaBlock,
  toBase64pad,
} from "./meta_block.ts";

/** Metas and keys as they travel. */
export const metaAndKeysSchema = v.object({
  metas: v.pipe(
    v.array(v.object({
      cid: v.pipe(v.string(), v.maxLength(128)),
      parents: v.pipe(v.array(v.string()), v.maxLength(maxListItems)),
      data: v.pipe(v.string(), v.maxLength(Math.ceil(maxMetaBytes / 3) * 4 + 1)),
    })),
    v.maxLength(maxListItems),
  ),
  keys: v.pipe(v.array(keySchema), v.maxLength(maxKeys)),
});

/** Metas and keys of a message. */
export type MetasAndKeys = v.InferOutput<typeof metaAndKeysSchema>;
type SerializedMeta = MetasAndKeys["metas"][number];

/**
 * The protocol's meta of one that came; nothing when its data is no block of Fireproof's, which no
 * client could read. What it waits for is what the block itself names, not what its sender says.
 *
 * @throws {HearthError} `DIGEST_MISMATCH` when its CID or parents are not those of the block
 */
export function toMeta({ cid, parents, data: text }: SerializedMeta): Meta | undefined {
  const data = fromBase64pad(text);
  const block = data && readMetaBlock(data);
  if (!data || !block) return undefined;
  // The client sorts them in the block, and names them in the order in which it met them.
  if (cid !== cidOfBlock(data) || parents.toSorted().join() !== block.parents.toSorted().join()) {
    throw new HearthError(
      "DIGEST_MISMATCH",
      "Cannot keep the meta: its data has another CID or other parents",
    );
  }
  return {
    cid,
    parents: block.parents,
    data,
    blobs: block.cars.map((cid) => ({ store: "car", cid })),
  };
}

/** The form in which a meta is sent. */
export function toSerialized({ cid, parents, data }: Meta): SerializedMeta {
  return { cid, parents: [...parents], data: toBase64pad(data) };
}

/**
 * Metas that name one car each, for the second and further cars of a commit: the stock client loads
 * only the first car of a meta. These make it load the others before the real one comes; it then
 * finds no header in them, says so in its log, and goes on.
 */
export function toExtraMetas(meta: Meta): readonly SerializedMeta[] {
  const [, ...extra] = readMetaBlock(meta.data)?.cars ?? [];
  return extra.map((car) => {
    const data = makeMetaBlock(car);
    return { cid: cidOfBlock(data), parents: [], data: toBase64pad(data) };
  });
}
