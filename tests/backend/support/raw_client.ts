/** A client that hides nothing: frames over a real WebSocket, or over HTTP. */

import {
  decodeFrames,
  encodeRequest,
  type Frame,
  joinFrames,
  type Notification,
  toHearthError,
} from "../../../src/protocol/frames.ts";
import {
  isMethodName,
  type MethodName,
  type ParamsIn,
  type Result,
} from "../../../src/protocol/methods.ts";
import type { Deep } from "../../../src/protocol/model.ts";
import { parseResult } from "../../../src/protocol/parse.ts";
import { contentType, paths, subprotocol } from "../../../src/protocol/version.ts";

/** How a socket ended. */
export interface Closed {
  readonly code: number;
  readonly reason: string;
}

/** How long anything is waited for; generous, since the machine may be busy. */
const deadlineMs = 30_000;

/** An open socket. */
export class RawSocket {
  readonly closed: Promise<Closed>;
  /** All frames, in the order in which they came. */
  readonly frames: Frame[] = [];
  /** How many messages came. */
  messages = 0;
  readonly #socket: WebSocket;
  readonly #wakes = new Set<() => void>();
  #nextId = 1;
  #ended: Closed | undefined;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      this.messages++;
      // Answers may be larger than what a client may send.
      this.frames.push(...decodeFrames(new Uint8Array(data), { maxItems: 1 << 24 }));
      this.#wake();
    });
    this.closed = new Promise((resolve) =>
      socket.addEventListener("close", ({ code, reason }) => {
        this.#ended = { code, reason };
        resolve(this.#ended);
        this.#wake();
      })
    );
  }

  /** Opens a socket that says nothing yet. */
  static async open(url: string): Promise<RawSocket> {
    const socket = new WebSocket(url.replace(/^http/, "ws") + paths.sync, [subprotocol]);
    socket.binaryType = "arraybuffer";
    const raw = new RawSocket(socket);
    await new Promise<void>((resolve, reject) => {
      socket.addEventListener("open", () => resolve());
      socket.addEventListener("error", () => reject(new Error("the socket was refused")));
    });
    return raw;
  }

  /** Opens a socket and says hello. */
  static async greet(url: string, token: string): Promise<RawSocket> {
    const raw = await RawSocket.open(url);
    await raw.call("hello", { version: 1, token });
    return raw;
  }

  get notices(): readonly Notification[] {
    return this.frames.filter((frame) => frame.kind === "notification");
  }

  /** Sends bytes, or text, as they are. */
  send(message: Uint8Array<ArrayBuffer> | string): void {
    this.#socket.send(message);
  }

  /** Sends a request and does not wait. @returns its id */
  ask(method: string, params: unknown): number {
    const id = this.#nextId++;
    this.send(encodeRequest(id, method, params));
    return id;
  }

  /** The result of a call; its error is thrown. */
  async call<M extends MethodName>(method: M, params: Deep<ParamsIn<M>>): Promise<Result<M>> {
    return parseResult(method, await this.callAny(method, params));
  }

  /** The same for anything that could be sent. */
  async callAny(method: string, params: unknown): Promise<unknown> {
    return await this.reply(this.ask(method, params));
  }

  /** The reply to a request. */
  async reply(id: number): Promise<unknown> {
    const frame = await this.until((it) => it.kind === "reply" && it.id === id);
    if (frame.kind !== "reply") throw new Error("not reached: the frame is a reply");
    if (frame.error) throw toHearthError(frame.error);
    return frame.result;
  }

  /** The first frame that is so, present or to come. */
  async until(isIt: (frame: Frame) => boolean): Promise<Frame> {
    const { promise, resolve, reject } = Promise.withResolvers<Frame>();
    let at = 0;
    const look = (): void => {
      try {
        for (; at < this.frames.length; at++) {
          const frame = this.frames[at];
          if (frame && isIt(frame)) return resolve(frame);
        }
      } catch (error) {
        return reject(error); // The check was an assertion.
      }
      if (this.#ended) reject(new Error(`the socket has ended: ${JSON.stringify(this.#ended)}`));
    };
    const timer = setTimeout(() => reject(new Error("the frame does not come")), deadlineMs);
    this.#wakes.add(look);
    look();
    return await promise.finally(() => {
      clearTimeout(timer);
      this.#wakes.delete(look);
    });
  }

  close(): Promise<Closed> {
    this.#socket.close(1000);
    return this.closed;
  }

  #wake(): void {
    for (const wake of this.#wakes) wake();
  }
}

/** An answer over HTTP. */
export interface RawAnswer {
  readonly status: number;
  readonly frames: readonly Frame[];
}

/** Posts a body. */
export async function post(
  url: string,
  token: string | undefined,
  body: Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): Promise<RawAnswer> {
  const response = await fetch(url + paths.rpc, {
    method: "POST",
    headers: {
      "content-type": contentType,
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...headers,
    },
    // Nothing here makes shared memory, which the wider type leaves open.
    body: body as Uint8Array<ArrayBuffer>,
  });
  const bytes = new Uint8Array(await response.arrayBuffer());
  return {
    status: response.status,
    frames: bytes.length > 0 ? decodeFrames(bytes, { maxItems: 1 << 24 }) : [],
  };
}

/** Calls a method over HTTP; its error is thrown. */
export async function rpc<M extends MethodName>(
  url: string,
  token: string,
  method: M,
  params: Deep<ParamsIn<M>>,
): Promise<Result<M>> {
  const { frames: [frame] } = await post(url, token, encodeRequest(7, method, params));
  if (frame?.kind !== "reply") throw new Error(`no reply came: ${JSON.stringify(frame)}`);
  if (frame.error) throw toHearthError(frame.error);
  if (!isMethodName(method)) throw new TypeError("not reached: the type says so");
  return parseResult(method, frame.result);
}

/** Puts requests into one message. */
export function joinRequests(...requests: readonly (readonly [string, unknown])[]) {
  const frames = requests.map(([method, params], at) => encodeRequest(at + 1, method, params));
  return joinFrames(frames) as Uint8Array<ArrayBuffer>;
}
