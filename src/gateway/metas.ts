/** Carries Fireproof's meta events to the protocol's metas and back. */

import { dbMetaEvent2Serialized, decode2DbMetaEvents } from "@fireproof/core-gateways-base";
import type { DbMetaEvent } from "@fireproof/core-types-blockstore";
import type { SuperThis } from "@fireproof/core";
import { Result } from "@adviser/cement";
import { HearthError } from "../protocol/errors.ts";
import type { BlobRef, Meta } from "../protocol/model.ts";

/** The protocol's meta of an event; `blobs` are those its readers cannot do without. */
export async function toMeta(
  sthis: SuperThis,
  event: DbMetaEvent,
  blobs: readonly BlobRef[],
): Promise<Meta> {
  const [serialized] = await dbMetaEvent2Serialized(sthis, [event]);
  if (!serialized) throw new TypeError("Cannot serialize meta: Fireproof gave nothing back");
  const { cid, parents, data } = serialized;
  return { cid, parents, data: fromBase64pad(data), blobs };
}

/**
 * Fireproof's event of a meta, whose CID is computed anew from the bytes.
 *
 * @throws {HearthError} `DIGEST_MISMATCH` when the meta is not what its CID says
 */
export async function toEvent(sthis: SuperThis, meta: Meta): Promise<DbMetaEvent> {
  const decoded = await decode2DbMetaEvents(
    sthis,
    Result.Ok([{ cid: meta.cid, parents: [...meta.parents], data: toBase64pad(meta.data) }]),
  );
  const event = decoded.unwrap()[0];
  if (event?.eventCid.toString() !== meta.cid) {
    throw new HearthError("DIGEST_MISMATCH", `Cannot use meta ${meta.cid}: its bytes are others`);
  }
  return event;
}

/** Multibase base64pad, the text in which Fireproof keeps meta blocks. */
function toBase64pad(bytes: Uint8Array): string {
  return "M" + btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

function fromBase64pad(text: string): Uint8Array {
  return Uint8Array.from(atob(text.slice(1)), (char) => char.charCodeAt(0));
}
