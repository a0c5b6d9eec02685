/** The least of a client of Hocuspocus and y-websocket: one socket to one Yjs document, and updates. */

import { Buffer } from "node:buffer";
import { joinBytes } from "../../src/base/bytes.ts";
import { openPlainSocket } from "./plain_socket.ts";
import { makeContent } from "./samples.ts";

/** Whose server. */
export type PeerKind = "hocuspocus" | "y-websocket";

/** A document of a peer. */
export interface PeerPlace {
  readonly kind: PeerKind;
  readonly url: string;
  readonly document: string;
}

/** Who reads and writes one document, as everybody connected to it does. */
export interface PeerClient {
  /** Sends one update; resolves when it is acknowledged, at once where nothing ever is. */
  exchange(frame: Uint8Array): Promise<unknown>;
}

// Types of messages: https://github.com/yjs/y-protocols, and Hocuspocus' own.
const syncType = 0;
const updateStep = 2;
const authType = 2;
const tokenStep = 0;
const authenticatedStep = 2;
const statusType = 8;

/** Connects to a document. */
export async function openPeer(
  { kind, url, document }: PeerPlace,
  onMessage: (message: Buffer) => void = () => {},
): Promise<PeerClient> {
  if (kind === "y-websocket") {
    const socket = await openPlainSocket(`${url}/${document}`, onMessage);
    return { exchange: (frame) => Promise.resolve(socket.send(frame)) };
  }
  const name = toText(document);
  let answered = () => {};
  const socket = await openPlainSocket(url, (message) => {
    const [type, step] = message.subarray(name.length);
    if (type === statusType || (type === authType && step === authenticatedStep)) answered();
    else onMessage(message);
  });
  const exchange = (frame: Uint8Array): Promise<void> =>
    new Promise((resolve) => {
      answered = resolve;
      socket.send(frame);
    });
  await exchange(joinBytes([name, new Uint8Array([authType, tokenStep]), toText("token")]));
  return { exchange };
}

/**
 * Makes updates of one client, encoded: each sets another key of a map to some bytes, which is the
 * cheapest there is for Yjs, since no two clients ever write to the same place.
 *
 * @param writer tells the content of several clients apart
 */
export function createUpdates(
  { kind, document }: Pick<PeerPlace, "kind" | "document">,
  contentBytes: number,
  writer: number,
): () => Uint8Array {
  const address = kind === "hocuspocus" ? toText(document) : new Uint8Array();
  const client = 1 + writer;
  let clock = 0;
  return () => {
    const update = toUpdate(client, clock, makeContent(contentBytes, writer));
    clock++;
    const head = new Uint8Array([syncType, updateStep, ...toVarUint(update.length)]);
    return joinBytes([address, head, update]);
  };
}

/** An item with binary content and a key in a map: https://github.com/yjs/yjs, `src/structs/Item.js`. */
const binaryWithKey = 0x03 | 0x20;
const inRootType = 1;

/** One item of one client and nothing deleted, in Yjs' first format of updates. */
function toUpdate(client: number, clock: number, content: Uint8Array): Uint8Array {
  return joinBytes([
    new Uint8Array([1, 1, ...toVarUint(client), ...toVarUint(clock), binaryWithKey, inRootType]),
    toText("log"),
    toText(`${client}-${clock}`),
    new Uint8Array(toVarUint(content.length)),
    content,
    new Uint8Array([0]),
  ]);
}

/** Seven bits a byte, the lowest first. */
function toVarUint(value: number): number[] {
  return value < 0x80 ? [value] : [0x80 | (value & 0x7f), ...toVarUint(value >>> 7)];
}

/** Text with its length ahead. */
function toText(text: string): Uint8Array {
  const bytes = Buffer.from(text);
  return joinBytes([new Uint8Array(toVarUint(bytes.length)), bytes]);
}
