/** The least of a stock Fireproof client: JSON on one socket, and cars over signed URLs. */

import type { Buffer } from "node:buffer";
import { createHash, randomBytes } from "node:crypto";
import { Agent, request } from "node:http";
import { encode } from "@ipld/dag-cbor";
import { CID } from "multiformats";
import { WebSocket } from "ws";
import { cidOfBlock, toBase64pad } from "../../src/backend/fireproof/meta_block.ts";
import { formatCid } from "../../src/protocol/cid.ts";

/** Whose client it is, and where. */
export interface StockPlace {
  readonly url: string;
  readonly ledger: string;
  readonly token: string;
}

/** A client with one message outstanding at most. */
export interface StockClient {
  /** Sends a message and resolves with the text of its answer. */
  ask(message: StockMessage): Promise<string>;
  /** Uploads a car, as the real client does: asks for a URL, and puts it there. */
  upload(cid: string, bytes: Uint8Array): Promise<void>;
  /** Makes the message that puts one meta about a car. */
  putMeta(car: string): StockMessage;
  /** Makes the message that binds. */
  bind(): StockMessage;
  close(): void;
}

/** A message and its name. */
export interface StockMessage {
  readonly tid: string;
  readonly text: string;
}

/** Parents of a meta: so many make one of about 500 bytes in JSON. */
const maxParents = 6;
/** Codec of a car. */
const carCodec = 0x0202;

let lastTid = 0;
let lastConn = 0;

/** Opens a client. @param onEvent called with each message that is no answer */
export async function openStock(
  { url, ledger, token }: StockPlace,
  onEvent?: (message: Buffer) => void,
): Promise<StockClient> {
  const socket = new WebSocket(`${url.replace(/^http/, "ws")}/ws`, { perMessageDeflate: false });
  const agent = new Agent({ keepAlive: true });
  const [tenant, name] = ledger.split("/");
  const auth = { type: "fp-cloud-jwk", params: { jwk: token } };
  const conn = { reqId: `bench-${++lastConn}-${randomBytes(4).toString("hex")}`, resId: "" };
  let waiting: { readonly tid: string; resolve(text: string): void } | undefined;
  let ours = false;
  socket.on("close", (code) => {
    if (!ours) throw new Error(`Cannot go on: the socket closed with ${code}`);
  });
  socket.on("message", (data) => {
    const message = data as Buffer;
    if (!waiting || message.indexOf(waiting.tid) < 0) return onEvent?.(message);
    const text = message.toString();
    if (text.includes('"type":"error"')) throw new Error(`Cannot go on: ${text.slice(0, 500)}`);
    waiting.resolve(text);
    waiting = undefined;
  });
  const make = (type: string, fields: object): StockMessage => {
    const tid = `tid-${++lastTid}.`;
    const base = { tid, type, version: "FP-MSG-1.0", auth, conn, tenant: { tenant, ledger: name } };
    return { tid, text: JSON.stringify({ ...base, ...fields }) };
  };
  const ask = ({ tid, text }: StockMessage): Promise<string> => {
    const answered = new Promise<string>((resolve) => waiting = { tid, resolve });
    socket.send(text);
    return answered;
  };
  await new Promise<void>((resolve) => socket.once("open", () => resolve()));
  const opened = await ask(make("reqOpen", { conn: { reqId: conn.reqId } }));
  conn.resId = JSON.parse(opened).conn.resId;
  const parents: string[] = [];
  return {
    ask,
    upload: async (cid, bytes) => {
      const { signedUrl } = JSON.parse(
        await ask(make("reqPutData", {
          methodParam: { method: "PUT", store: "car" },
          urlParam: { key: cid },
        })),
      );
      await put(signedUrl, bytes, agent);
    },
    putMeta: (car) => {
      const dbMeta = new TextEncoder().encode(JSON.stringify({ cars: [{ "/": car }] }));
      const data = encode({ data: { dbMeta }, parents: parents.map((cid) => CID.parse(cid)) });
      const meta = { cid: cidOfBlock(data), parents: [...parents], data: toBase64pad(data) };
      parents.push(meta.cid);
      if (parents.length > maxParents) parents.shift();
      return make("reqPutMeta", {
        methodParam: { method: "PUT", store: "meta" },
        urlParam: { key: "main" },
        meta: { metas: [meta], keys: [] },
      });
    },
    bind: () =>
      make("bindGetMeta", {
        methodParam: { method: "GET", store: "meta" },
        urlParam: { key: "main" },
      }),
    close: () => {
      ours = true;
      socket.terminate();
      agent.destroy();
    },
  };
}

/** A car that is like no other. */
export function makeCar(bytes: number): { readonly cid: string; readonly bytes: Uint8Array } {
  const content = new Uint8Array(randomBytes(bytes));
  return {
    cid: formatCid(carCodec, createHash("sha256").update(content).digest()),
    bytes: content,
  };
}

function put(url: string, bytes: Uint8Array, agent: Agent): Promise<void> {
  return new Promise((resolve, reject) => {
    const sent = request(url, {
      method: "PUT",
      agent,
      headers: { "content-length": bytes.length },
    }, (response) => {
      response.resume();
      response.once("end", () => {
        const { statusCode = 0 } = response;
        if (statusCode < 300) resolve();
        else reject(new Error(`Cannot upload: the server answered ${statusCode}`));
      });
    });
    sent.once("error", reject);
    sent.end(bytes);
  });
}
