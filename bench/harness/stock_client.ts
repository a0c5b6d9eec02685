/** The least of a stock Fireproof client: JSON on one socket, and cars over signed URLs. */

import type { Buffer } from "node:buffer";
import { createHash, randomBytes, randomUUID } from "node:crypto";
import { Agent, request } from "node:http";
import { WebSocket } from "ws";
import { formatCid } from "../../src/protocol/cid.ts";
import {
  type Message,
  stockMessages,
  stockMeta,
} from "../../tests/backend/fireproof/support/stock_wire.ts";

/** Whose client it is, and where. */
export interface StockPlace {
  readonly url: string;
  readonly ledger: string;
  readonly token: string;
}

/** A client with one message outstanding at most. */
export interface StockClient {
  /** Sends a message and resolves with the text of its answer. */
  ask(message: Message): Promise<string>;
  /** Uploads a car, as the real client does: asks for a URL, and puts it there. */
  upload(cid: string, bytes: Uint8Array): Promise<void>;
  /** Makes the message that puts one meta about a car. */
  putMeta(car: string): Message;
  /** Makes the message that binds. */
  bind(): Message;
  close(): void;
}

/** Parents of a meta: so many make one of about 500 bytes in JSON. */
const maxParents = 6;
/** Codec of a car. */
const carCodec = 0x0202;

/** Opens a client. @param onEvent called with each message that is no answer */
export async function openStock(
  { url, ledger, token }: StockPlace,
  onEvent?: (message: Buffer) => void,
): Promise<StockClient> {
  const socket = new WebSocket(`${url.replace(/^http/, "ws")}/ws`, { perMessageDeflate: false });
  const agent = new Agent({ keepAlive: true });
  let waiting: { readonly mark: string; resolve(text: string): void } | undefined;
  let ours = false;
  socket.on("close", (code) => {
    if (!ours) throw new Error(`Cannot go on: the socket closed with ${code}`);
  });
  socket.on("message", (data) => {
    // `ws` gives one Buffer a message, as long as its `binaryType` is left alone.
    const message = data as Buffer;
    if (!waiting || message.indexOf(waiting.mark) < 0) return onEvent?.(message);
    const text = message.toString();
    if (text.includes('"type":"error"')) throw new Error(`Cannot go on: ${text.slice(0, 500)}`);
    waiting.resolve(text);
    waiting = undefined;
  });
  const ask = (message: Message): Promise<string> => {
    const mark = `"tid":"${message["tid"]}"`;
    const answered = new Promise<string>((resolve) => waiting = { mark, resolve });
    socket.send(JSON.stringify(message));
    return answered;
  };
  await new Promise<void>((resolve) => socket.once("open", () => resolve()));
  const place = { token, ledger, reqId: `bench-${randomUUID()}` };
  const { reqId } = place;
  const opened = await ask(stockMessages(place).make("reqOpen", { conn: { reqId } }));
  const { data, bind, putMeta } = stockMessages({
    ...place,
    resId: JSON.parse(opened).conn.resId,
  });
  const parents: string[] = [];
  return {
    ask,
    upload: async (cid, bytes) => {
      const { signedUrl } = JSON.parse(await ask(data("Put", cid)));
      await put(signedUrl, bytes, agent);
    },
    putMeta: (car) => {
      const meta = stockMeta([car], parents);
      parents.push(meta.cid);
      if (parents.length > maxParents) parents.shift();
      return putMeta([meta]);
    },
    bind,
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
