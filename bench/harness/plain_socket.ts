/** A socket without a protocol, to the bare servers that Hearth is compared with. */

import type { Buffer } from "node:buffer";
import { WebSocket } from "ws";

/** Where writers connect to a bare server; elsewhere it is readers. */
export const writerPath = "/write";

/** Opens a socket. Its loss ends the process: nobody can measure on. */
export async function openPlainSocket(
  url: string,
  onMessage: (message: Buffer) => void,
): Promise<WebSocket> {
  const socket = new WebSocket(url.replace(/^http/, "ws"), { perMessageDeflate: false });
  socket.on("close", (code) => {
    throw new Error(`Cannot go on: the socket closed with ${code}`);
  });
  // `ws` gives one Buffer a message, as long as its `binaryType` is left alone.
  socket.on("message", (data) => onMessage(data as Buffer));
  await new Promise<void>((resolve) => socket.once("open", () => resolve()));
  return socket;
}
