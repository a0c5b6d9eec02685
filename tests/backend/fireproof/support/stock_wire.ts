/** Speaks the stock client's protocol by hand: JSON over a socket, or over `PUT /fp`. */

import { cidOfBlock, toBase64pad } from "../../../../src/backend/fireproof/meta_block.ts";
import { formatCid } from "../../../../src/protocol/cid.ts";
import { encode } from "@ipld/dag-cbor";
import { CID } from "multiformats";
import { createHash } from "node:crypto";

/** A message, as JSON has it. */
// deno-lint-ignore no-explicit-any -- tests look into messages of every form.
export type Message = Readonly<Record<string, any>>;

/** How long anything is waited for; generous, since the machine may be busy. */
const deadlineMs = 30_000;

/** Who sends, and about what. */
export interface StockOptions {
  readonly token: string;
  /** @default "acme/todos" */
  readonly ledger?: string;
  readonly reqId?: string;
  readonly resId?: string;
}

let lastTid = 0;

/** Makes messages. */
export function stockMessages({ token, ledger = "acme/todos", ...ids }: StockOptions) {
  const conn = { reqId: ids.reqId ?? "req-1", resId: ids.resId ?? "res-1" };
  const [tenant, name] = ledger.split("/");
  const auth = { type: "fp-cloud-jwk", params: { jwk: token } };
  const make = (type: string, fields: object = {}): Message => ({
    tid: `tid-${++lastTid}`,
    type,
    version: "FP-MSG-1.0",
    auth,
    conn,
    tenant: { tenant, ledger: name },
    ...fields,
  });
  const data = (verb: "Get" | "Put" | "Del", key: string, store = "car"): Message =>
    make(`req${verb}Data`, {
      version: "v0.1-fp-cloud",
      methodParam: { method: { Get: "GET", Put: "PUT", Del: "DELETE" }[verb], store },
      urlParam: { key, store },
    });
  return {
    conn,
    auth,
    make,
    data,
    bind: (fields: object = {}): Message =>
      make("bindGetMeta", {
        version: "v0.1-fp-cloud",
        methodParam: { method: "GET", store: "meta" },
        urlParam: { key: "main", store: "meta" },
        ...fields,
      }),
    putMeta: (metas: readonly object[], keys: readonly string[] = []): Message =>
      make("reqPutMeta", {
        methodParam: { method: "PUT", store: "meta" },
        urlParam: { key: "main" },
        meta: { metas, keys },
      }),
  };
}

/** The name of a car, made up. */
export function carOf(text: string): string {
  return formatCid(0x18, new Uint8Array(createHash("sha256").update(text).digest()));
}

/** A meta as the stock client serializes it. */
export function stockMeta(cars: readonly string[], parents: readonly string[] = []) {
  const dbMeta = new TextEncoder().encode(
    JSON.stringify({ cars: cars.map((cid) => ({ "/": cid })) }),
  );
  const data = encode({ data: { dbMeta }, parents: parents.map((cid) => CID.parse(cid)) });
  return { cid: cidOfBlock(data), parents: [...parents], data: toBase64pad(data) };
}

/** Sends one message to `PUT /fp`. */
export async function putMessage(
  url: string,
  message: unknown,
  query = "",
): Promise<{ readonly status: number; readonly message: Message }> {
  const response = await fetch(`${url}/fp${query}`, { method: "PUT", body: toText(message) });
  return { status: response.status, message: await response.json() };
}

/** Uploads a car by a URL that an answer gave. */
export async function putBlob(signedUrl: string, bytes: Uint8Array<ArrayBuffer> | string) {
  const response = await fetch(signedUrl, { method: "PUT", body: bytes });
  await response.body?.cancel();
  return response.status;
}

/** Reads by a URL that an answer gave. */
export async function getBlob(signedUrl: string): Promise<readonly [number, string]> {
  const response = await fetch(signedUrl);
  return [response.status, await response.text()];
}

/** An open socket. */
export class StockSocket {
  /** All messages, in the order in which they came. */
  readonly messages: Message[] = [];
  readonly closed: Promise<number>;
  readonly #socket: WebSocket;
  readonly #wakes = new Set<() => void>();
  #ended = false;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      this.messages.push(JSON.parse(typeof data === "string" ? data : decoder.decode(data)));
      this.#wake();
    });
    this.closed = new Promise((resolve) =>
      socket.addEventListener("close", ({ code }) => {
        this.#ended = true;
        resolve(code);
        this.#wake();
      })
    );
  }

  static async open(url: string, query = ""): Promise<StockSocket> {
    const socket = new WebSocket(`${url.replace(/^http/, "ws")}/ws${query}`);
    socket.binaryType = "arraybuffer";
    const opened = new StockSocket(socket);
    await new Promise<void>((resolve, reject) => {
      socket.addEventListener("open", () => resolve());
      socket.addEventListener("error", () => reject(new Error("the socket was refused")));
    });
    return opened;
  }

  /** Sends a message, binary as the client does unless it is a text. */
  send(message: unknown): void {
    this.#socket.send(typeof message === "string" ? message : encoder.encode(toText(message)));
  }

  /** Sends a message and waits for what carries its `tid`. */
  async ask(message: Message): Promise<Message> {
    const from = this.messages.length;
    this.send(message);
    return await this.until((it) => it["tid"] === message["tid"], from);
  }

  /** The first message that is so, present or to come. */
  async until(isIt: (message: Message) => boolean, from = 0): Promise<Message> {
    const { promise, resolve, reject } = Promise.withResolvers<Message>();
    const look = (): void => {
      const found = this.messages.slice(from).find(isIt);
      if (found) resolve(found);
      else if (this.#ended) reject(new Error("the socket has ended"));
    };
    const timer = setTimeout(() => reject(new Error("the message does not come")), deadlineMs);
    this.#wakes.add(look);
    look();
    return await promise.finally(() => {
      clearTimeout(timer);
      this.#wakes.delete(look);
    });
  }

  /** The `cid`s of all metas that came in events, but for those of single cars. */
  get cids(): readonly string[] {
    return this.messages.filter((it) => it["type"] === "eventGetMeta")
      .flatMap((it) => it["meta"].metas.map(({ cid }: { cid: string }) => cid));
  }

  close(): Promise<number> {
    this.#socket.close(1000);
    return this.closed;
  }

  #wake(): void {
    for (const wake of this.#wakes) wake();
  }
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function toText(message: unknown): string {
  return typeof message === "string" ? message : JSON.stringify(message);
}
