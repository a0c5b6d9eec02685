/** The reference of sockets: a bare `ws` server that passes what writers send on to all readers. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Buffer } from "node:buffer";
import { WebSocketServer } from "ws";
import { writerPath } from "../harness/plain_socket.ts";
import { serveCalls } from "../harness/worker.ts";

const http = createServer();
const server = new WebSocketServer({ server: http, perMessageDeflate: false });

server.on("connection", (socket, { url }) => {
  if (url !== writerPath) return;
  server.clients.delete(socket); // Who is left there is a reader.
  socket.on("message", (data) => {
    // `ws` gives one Buffer a message, as long as its `binaryType` is left alone.
    for (const reader of server.clients) reader.send(data as Buffer);
    socket.send(ack);
  });
});

/** As long as the answer to a commit. */
const ack = new Uint8Array(48);

const calls = {
  listen: async (): Promise<string> => {
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    // A server that listens on a port has an address of this kind.
    return `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  },
};

export type BroadcastServer = typeof calls;
await serveCalls(calls);
