/** The reference of reconnects: a bare `ws` server that answers each message with the same bytes. */

import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { WebSocketServer } from "ws";
import { serveCalls } from "../harness/worker.ts";

const calls = {
  listen: async ({ bytes }: { readonly bytes: number }): Promise<string> => {
    const answer = randomBytes(bytes);
    const http = createServer();
    const server = new WebSocketServer({ server: http, perMessageDeflate: false });
    server.on("connection", (socket) => socket.on("message", () => socket.send(answer)));
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    // A server that listens on a port has an address of this kind.
    return `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  },
};

export type GreetingServer = typeof calls;
await serveCalls(calls);
