/** The least of a client that speaks the protocol: one socket, or one kept HTTP connection. */

import { Buffer } from "node:buffer";
import { connect } from "node:net";
import { WebSocket } from "ws";
import { decodeFrames, encodeRequest, toHearthError } from "../../src/protocol/frames.ts";
import type { MethodTable } from "../../src/protocol/method_table.ts";
import { contentType, paths, protocolVersion, subprotocol } from "../../src/protocol/version.ts";

/** How to reach a server, as somebody. */
export interface RawOptions {
  /** Base URL, `http:`. */
  readonly url: string;
  readonly token: string;
  /** Called with each message that brings no reply. */
  readonly onPush?: (message: Buffer) => void;
  /** Called with each ping of the server, which is answered in any case. */
  readonly onPing?: () => void;
}

/** A client with one request outstanding at most. */
export interface RawClient {
  /** Sends one encoded request and resolves with its reply, which is no error. */
  exchange(frame: Uint8Array): Promise<Buffer>;
  close(): void;
}

/** Opens a socket and says hello. */
export async function openSocket(
  { url, token, onPush, onPing }: RawOptions,
): Promise<RawClient> {
  const socket = new WebSocket(url.replace(/^http/, "ws") + paths.sync, [subprotocol], {
    perMessageDeflate: false,
  });
  let waiting: PromiseWithResolvers<Buffer> | undefined;
  let ours = false;
  // Nobody can measure on after a loss: this ends the worker, and so the row.
  socket.on("close", (code) => {
    if (!ours) throw new Error(`Cannot go on: the socket closed with ${code}`);
  });
  if (onPing) socket.on("ping", onPing);
  socket.on("message", (data) => {
    // `ws` gives one Buffer a message, as long as its `binaryType` is left alone.
    const message = data as Buffer;
    // It may come behind notifications, in one message with them.
    const at = waiting ? message.indexOf(replyHead) : -1;
    if (at < 0) return onPush?.(message);
    if (isError(message, at)) waiting?.reject(errorOf(message));
    else waiting?.resolve(message);
    waiting = undefined;
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

/**
 * Opens one connection on which each exchange is a POST. It reads no more of HTTP than a server of
 * ours answers: the client of `node:http` costs more than the server, and would be what is measured.
 */
export async function openHttp({ url, token }: RawOptions): Promise<RawClient> {
  const { hostname, port, host } = new URL(url);
  const socket = connect(Number(port), hostname);
  const head = `POST ${paths.rpc} HTTP/1.1\r\nhost: ${host}\r\ncontent-type: ${contentType}\r\n` +
    `authorization: Bearer ${token}\r\ncontent-length: `;
  let waiting: PromiseWithResolvers<Buffer> | undefined;
  let ours = false;
  let received: Buffer = Buffer.alloc(0);
  socket.on("close", () => {
    if (!ours) throw new Error("Cannot go on: the connection was closed");
  });
  socket.on("data", (piece: Buffer) => {
    received = received.length > 0 ? Buffer.concat([received, piece]) : piece;
    const bodyAt = received.indexOf("\r\n\r\n") + 4;
    if (bodyAt < 4) return;
    const answer = received.toString("latin1", 0, bodyAt);
    const length = Number(/\r\ncontent-length: (\d+)\r\n/i.exec(answer)?.[1]);
    if (received.length < bodyAt + length) return;
    const reply = received.subarray(bodyAt);
    received = Buffer.alloc(0);
    if (answer.startsWith("HTTP/1.1 200 ") && reply.length === length && !isError(reply, 0)) {
      waiting?.resolve(reply);
    } else waiting?.reject(new Error(`Cannot go on: the server answered ${answer}`));
  });
  await new Promise<void>((resolve) => socket.once("connect", () => resolve()));
  const exchange = (frame: Uint8Array): Promise<Buffer> => {
    waiting = Promise.withResolvers();
    socket.write(Buffer.concat([Buffer.from(`${head}${frame.length}\r\n\r\n`), frame]));
    return waiting.promise;
  };
  const close = () => {
    ours = true;
    socket.destroy();
  };
  return { exchange, close };
}

/** Encodes a request; with one outstanding at most, all may have the same id. */
export function encodeCall<M extends keyof MethodTable>(
  method: M,
  params: MethodTable[M]["params"],
): Uint8Array {
  return encodeRequest(callId, method, params);
}

const callId = 0x8a5c_e37b;
/** The first bytes of `[1, callId, …]`; nil follows when the call went well. */
const replyHead = new Uint8Array([0x94, 0x01, 0xce, 0x8a, 0x5c, 0xe3, 0x7b]);

function isError(message: Buffer, at: number): boolean {
  return message[at + replyHead.length] !== 0xc0;
}

function errorOf(message: Buffer): unknown {
  const reply = decodeFrames(message).find(({ kind }) => kind === "reply");
  return reply?.kind === "reply" && reply.error ? toHearthError(reply.error) : reply;
}
