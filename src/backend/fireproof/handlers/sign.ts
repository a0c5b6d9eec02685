/** `req{Get,Put,Del}{Data,WAL}`: a signed URL for one operation on one blob or record. */

import { hash } from "node:crypto";
import { formatCid, isCid } from "../../../protocol/cid.ts";
import { HearthError } from "../../../protocol/errors.ts";
import { urlLifeMs } from "../../signed_url.ts";
import type { UrlMethod, UrlStore } from "../blob_urls.ts";
import type { Call, ConnectionId } from "../call.ts";

interface SignRequest {
  readonly conn: ConnectionId;
  readonly urlParam: { readonly key: string };
}

interface DataRequest extends SignRequest {
  readonly methodParam: { readonly store: "car" | "file" };
}

/** Signs for a blob. How long the URL lives is ours to say, whatever the client wishes. */
export function signData(method: UrlMethod) {
  return (call: Call, message: DataRequest): object => {
    const { store } = message.methodParam;
    return sign(call, message, method, store, nameOf(store, message.urlParam.key));
  };
}

/** Signs for a record of whoever asks. */
export function signWal(method: UrlMethod) {
  return (call: Call, message: SignRequest): object =>
    sign(call, message, method, "wal", cidOfText(message.urlParam.key));
}

function sign(
  call: Call,
  { conn, urlParam }: SignRequest,
  method: UrlMethod,
  store: UrlStore,
  cid: string,
): object {
  const { fireproofUrls, clock } = call.services;
  const signedUrl = fireproofUrls.sign(call.baseUrl, {
    method,
    ledger: call.ledger(),
    store,
    cid,
    owner: store === "wal" ? call.session().subject : "",
    expiresAt: clock.now() + urlLifeMs,
  });
  return { conn, tenant: call.tenant, methodParam: { method, store }, urlParam, signedUrl };
}

/**
 * What a blob is called. Cars are named by their CID, and nothing else gets into a URL or a store. A
 * file that the client has given a plain name of its own (its own tests do) goes by the CID of that name.
 */
function nameOf(store: "car" | "file", key: string): string {
  if (isCid(key)) return key;
  if (store === "file" && /^[\w-]{1,64}$/.test(key)) return cidOfText(key);
  throw new HearthError(
    "BAD_PARAMS",
    "Cannot sign a URL: the key is no CID (v1, base32, sha2-256)",
  );
}

/** Multicodec of bytes that mean nothing further. */
const raw = 0x55;

function cidOfText(text: string): string {
  return formatCid(raw, hash("sha256", text, "buffer"));
}
