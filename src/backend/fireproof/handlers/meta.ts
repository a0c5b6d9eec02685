/** `reqPutMeta` and `reqDelMeta`: heads in and out. */

import type { Meta } from "../../../protocol/model.ts";
import type { Call, ConnectionId } from "../call.ts";
import { keepOrHold } from "../held.ts";
import { type MetasAndKeys, toMeta, toSerialized } from "../metas.ts";
import { paths } from "../paths.ts";

interface MetaRequest {
  readonly conn: ConnectionId;
  readonly urlParam: object;
}

/**
 * Keeps heads and keys; they never supersede others, since only a reader of the cars knows what they
 * cover. The answer lists what was kept: data that is no block of Fireproof's is left out, since no
 * client could read it.
 */
export async function putMeta(
  call: Call,
  { conn, urlParam, meta: { metas, keys } }: MetaRequest & { readonly meta: MetasAndKeys },
): Promise<object> {
  const ledger = call.ledger();
  const kept = metas.map(toMeta).filter((meta): meta is Meta => meta !== undefined);
  if (kept.length < metas.length) {
    call.services.log.warn("metas that nobody could read were left out", {
      ledger,
      metas: metas.length - kept.length,
    });
  }
  const sender = JSON.stringify([call.session().subject, conn.reqId]);
  await keepOrHold(call.services, ledger, { metas: kept, keys, sender });
  return {
    conn,
    tenant: call.tenant,
    methodParam: { method: "PUT", store: "meta" },
    urlParam,
    signedUrl: metaUrl(call),
    meta: { metas: kept.map(toSerialized), keys },
  };
}

/**
 * Takes out the heads that the message names, as `delMeta` of hearth.v1 does. One that names none would
 * empty the ledger for everybody, and is answered without.
 */
export async function delMeta(
  call: Call,
  { conn, urlParam, meta }: MetaRequest & {
    readonly meta?: { readonly metas: readonly { readonly cid: string }[] } | undefined;
  },
): Promise<object> {
  const { services } = call;
  const cids = (meta?.metas ?? []).map(({ cid }) => cid);
  const ledger = call.ledger();
  if (cids.length > 0) {
    await services.metaStore.unhold(ledger, cids);
    const seq = await services.metaStore.deleteMetas(ledger, cids);
    await services.publisher.deleted(ledger, seq);
  }
  return {
    conn,
    tenant: call.tenant,
    methodParam: { method: "DELETE", store: "meta" },
    urlParam,
    signedUrl: metaUrl(call),
  };
}

/** The client expects a URL. Heads travel in messages alone: this one leads nowhere. */
export function metaUrl({ baseUrl }: Call): string {
  return `${baseUrl.replace(/\/+$/, "")}${paths.blobs}`;
}
