/** Clients that come all at once: each opens a socket, asks once, and waits for its answer. */

import type { Buffer } from "node:buffer";
import { WebSocket } from "ws";
import { encodeRequest, joinFrames } from "../../src/protocol/frames.ts";
import { paths, protocolVersion, subprotocol } from "../../src/protocol/version.ts";
import { serveCalls } from "../harness/worker.ts";
import type { FilledPlace } from "./filled_server.ts";

/** Where to go; with places, to Hearth, by turns, else to a bare server. */
export interface HerdRun {
  readonly url: string;
  readonly clients: number;
  readonly places?: readonly FilledPlace[];
}

/** What one took. */
export interface HerdTime {
  /** From the first socket that is opened to the last answer. */
  readonly ms: number;
  /** Bytes that each client got, the first one's. */
  readonly bytes: number;
}

/** How the reply to the second request begins: `[1, 1, nil, …]`. */
const mark = new Uint8Array([0x94, 0x01, 0x01, 0xc0]);

const calls = {
  run: async ({ url, clients, places = [] }: HerdRun): Promise<HerdTime> => {
    const messages = places.map((place) => ({ message: ask(place), isLast: endsWatch }));
    const bare = {
      message: new Uint8Array(messages[0]?.message.length ?? 512),
      isLast: () => true,
    };
    const start = performance.now();
    const visits = Array.from({ length: clients }, (_, at) => {
      const visit = messages[at % messages.length] ?? bare;
      return open(url, places.length > 0, visit.message, visit.isLast);
    });
    const all = await Promise.all(visits);
    const ms = performance.now() - start;
    await Promise.all(all.map(({ socket }) => end(socket)));
    return { ms, bytes: all[0]?.bytes ?? 0 };
  },
};

/** `hello` and `watch` in one message, as a client should. */
function ask({ ledger, token, cursor }: FilledPlace): Uint8Array {
  return joinFrames([
    encodeRequest(0, "hello", { version: protocolVersion, token }),
    encodeRequest(1, "watch", { ledger, cursor }),
  ]);
}

function endsWatch(message: Buffer): boolean {
  return message.indexOf(mark) >= 0;
}

function open(
  url: string,
  isOurs: boolean,
  message: Uint8Array,
  isLast: (message: Buffer) => boolean,
): Promise<{ readonly socket: WebSocket; readonly bytes: number }> {
  const target = url.replace(/^http/, "ws");
  const options = { perMessageDeflate: false };
  const socket = isOurs
    ? new WebSocket(target + paths.sync, [subprotocol], options)
    : new WebSocket(target, options);
  let bytes = 0;
  return new Promise((resolve, reject) => {
    socket.on("error", reject);
    socket.on("close", (code) => reject(new Error(`Cannot go on: the socket closed with ${code}`)));
    socket.on("open", () => socket.send(message));
    socket.on("message", (data) => {
      // `ws` gives one Buffer a message, as long as its `binaryType` is left alone.
      const message = data as Buffer;
      bytes += message.length;
      if (isLast(message)) resolve({ socket, bytes });
    });
  });
}

function end(socket: WebSocket): Promise<void> {
  return new Promise((resolve) => {
    socket.once("close", () => resolve());
    socket.terminate();
  });
}

export type Herd = typeof calls;
await serveCalls(calls);
