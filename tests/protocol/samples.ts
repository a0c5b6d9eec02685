/** One valid call of every method, with every field given. */

import type { MethodName, Notice, NotificationName, ParamsIn } from "../../src/protocol/methods.ts";
import { fromHex } from "../hex.ts";

/** A CID that is well-formed. */
export const cid = "bafyreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";
/** Another one. */
export const otherCid = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";

const ledger = "acme/todos";
const cursor = "0123456789abcdef.7";
const digest = fromHex("b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9");
const bytes = new TextEncoder().encode("hello world");

/** Parameters of every method. */
export const paramsOf: { readonly [M in MethodName]: ParamsIn<M> } = {
  hello: { version: 1, token: "header.payload.signature", client: "sample/1" },
  auth: { token: "header.payload.signature" },
  commit: {
    ledger,
    blobs: [
      { store: "car", cid: otherCid, bytes },
      { store: "file", cid, digest, size: 300_000 },
    ],
    metas: [
      { cid, parents: [otherCid], data: bytes, blobs: [{ store: "car", cid: otherCid }] },
    ],
    keys: ["zKey"],
    supersedes: [otherCid],
    retires: [{ store: "car", cid }],
  },
  missing: { ledger, blobs: [{ store: "car", cid }, { store: "file", cid: otherCid }] },
  getBlobs: { ledger, blobs: [{ store: "car", cid }], inlineBytes: 1_000_000 },
  listBlobs: { ledger, store: "car", before: cid, limit: 100 },
  signUrl: { ledger, method: "PUT", store: "file", cid, digest, size: 300_000 },
  watch: { ledger, cursor, inventory: true },
  unwatch: { ledger },
  poll: { ledger, cursor, inventory: true, waitMs: 25_000 },
  delMeta: { ledger, metas: [cid] },
  getWal: { ledger, name: "device:1" },
  putWal: { ledger, name: "device:1", version: 3, bytes },
  delWal: { ledger, name: "device:1", version: 4 },
  tell: { ledger, body: bytes },
};

/** Bodies of every notification. */
export const noticeOf: { readonly [N in NotificationName]: Notice<N> } = {
  metas: {
    ledger,
    after: cursor,
    cursor: "0123456789abcdef.8",
    reset: false,
    metas: [{ cid, parents: [], data: bytes, blobs: [{ store: "car", cid: otherCid }] }],
    keys: ["zKey"],
    blobs: [{ store: "car", cid: otherCid, size: bytes.length, digest, bytes }],
    inventory: [{ store: "car", cid: otherCid, size: bytes.length }],
    more: false,
  },
  told: { ledger, from: "alice", body: bytes },
  closing: { resumeAfterMs: 700 },
  error: { code: "BAD_FRAME", message: "Cannot read message: it is empty at byte 0" },
  ping: {},
  pong: {},
};
