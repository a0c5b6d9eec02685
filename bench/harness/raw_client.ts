/** The least of a client that speaks the protocol: one socket, or one kept HTTP connection. */

import type { Buffer } from "node:buffer";
import { Agent, request as openRequest } from "node:http";
import { WebSocket } from "ws";
import { decodeFrames, encodeRequest, toHearthError } from "../../src/protocol/frames.ts";
import type { MethodTable } from "../../src/protocol/method_table.ts";
import { contentType, paths, protocolVersion, subprotocol } from "../../src/protocol/version.ts";

/** How to reach a server, as somebody. */
export interface RawOptions {
  /** Base URL, `http:`. */
  readonly url: string;
  readonly token: string;
  /** Called with each message that is no reply. */
  readonly onPush?: (message: Buffer) => void;
}

/** A client with one request outstanding at most. */
export interface RawClient {
  /** Sends one encoded request and resolves with its reply, which is no error. */
  exchange(frame: Uint8Array): Promise<Buffer>;
  close(): void;
}

/** Opens a socket and says hello. */
export async function openSocket({ url, token, onPush }: RawOptions): Promise<RawClient> {
  const socket = new WebSocket(url.replace(/^http/, "ws") + paths.sync, [subprotocol], {
    perMessageDeflate: false,
  });
  let waiting: PromiseWithResolvers<Buffer> | undefined;
  let ours = false;
  // Nobody can measure on after a loss: this ends the worker, and so the row.
  socket.on("close", (code) => {
    if (!ours) throw new Error(`Cannot go on: the socket closed with ${code}`);
  });
  socket.on("message", (data) => {
    // `ws` gives one Buffer a message, as long as its `binaryType` is left alone.
    const message = data as Buffer;
    if (!isReply(message)) onPush?.(message);
    else if (isError(message)) waiting?.reject(errorOf(message));
    else waiting?.resolve(message);
  });
  const exchange = (frame: Uint8Array): Promise<Buffer> => {
    waiting = Promise.withResolvers();
    socket.send(frame);
    return waiting.promise;
  };
  waiting = Promise.withResolvers();
  socket.once("open", () => socket.send(encodeCall("hello", { version: protocolVersion, token })));
  await waiting.promise;
  const close = () => {
    ours = true;
    socket.terminate();
  };
  return { exchange, close };
}

/** Opens nothing yet: each exchange is a POST, all on one connection. */
export function openHttp({ url, token }: RawOptions): RawClient {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const headers = { "content-type": contentType, authorization: `Bearer ${token}` };
  const exchange = (frame: Uint8Array): Promise<Buffer> => {
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    const request = openRequest(url + paths.rpc, {
      method: "POST",
      agent,
      headers: { ...headers, "content-length": frame.length },
    }, (response) => {
      const parts: Buffer[] = [];
      response.on("data", (part) => parts.push(part));
      response.on("error", reject);
      response.on("end", () => {
        const [reply = new Uint8Array() as Buffer] = parts;
        if (response.statusCode !== 200 || parts.length !== 1 || isError(reply)) {
          reject(new Error(`Cannot go on: HTTP ${response.statusCode}, ${parts.length} parts`));
        } else resolve(reply);
      });
    });
    request.on("error", reject);
    request.end(frame);
    return promise;
  };
  return { exchange, close: () => agent.destroy() };
}

/** Encodes a request; with one outstanding at most, all may have the same id. */
export function encodeCall<M extends keyof MethodTable>(
  method: M,
  params: MethodTable[M]["params"],
): Uint8Array {
  return encodeRequest(0, method, params);
}

// The first bytes of `[1, 0, nil, …]`, the reply of a call that went well, are 94 01 00 c0.
function isReply(message: Buffer): boolean {
  return message[0] === 0x94 && message[1] === 1;
}

function isError(message: Buffer): boolean {
  return message[3] !== 0xc0;
}

function errorOf(message: Buffer): unknown {
  const [reply] = decodeFrames(message);
  return reply?.kind === "reply" && reply.error ? toHearthError(reply.error) : reply;
}
