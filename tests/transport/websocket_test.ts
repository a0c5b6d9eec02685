/** The WebSocket transport against servers that behave and servers that do not. */

import { createServer, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { test } from "node:test";
import { type WebSocket, WebSocketServer } from "ws";
import { assert, assertEquals, assertRejects } from "#assert";
import { HearthError } from "../../src/protocol/errors.ts";
import { createWebSocketDialer } from "../../src/transport/websocket.ts";
import { createRecorder } from "./recorder.ts";

const options = { token: () => "t", signal: new AbortController().signal };

/** A server with one behaviour. */
async function serve(
  onSocket: (socket: WebSocket) => void,
  handleProtocols: () => string | false = () => "hearth.v1",
) {
  const paths: string[] = [];
  const http: Server = createServer();
  const sockets = new WebSocketServer({ server: http, handleProtocols });
  sockets.on("connection", (socket, request) => {
    paths.push(request.url ?? "");
    onSocket(socket);
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  // A listening TCP server has an address with a port.
  const { port } = http.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    paths,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets.clients) socket.terminate();
      sockets.close();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}

test("binary messages go both ways", async () => {
  await using server = await serve((socket) => {
    socket.on("message", (data, isBinary) => isBinary && socket.send(data, { binary: true }));
  });
  const events = createRecorder();
  const transport = await createWebSocketDialer(`${server.url}/base/`).open(events, options);
  assertEquals(transport.pushes, true);
  assertEquals(server.paths, ["/base/v1/sync"]);
  transport.send(new Uint8Array([0, 1, 2, 3]).subarray(1));
  assertEquals(await events.message(), new Uint8Array([1, 2, 3]));
  transport.close();
  assertEquals((await events.closed).code, 1000);
  transport.send(new Uint8Array([4]));
  transport.close();
  assertEquals(events.closes.length, 1);
});

test("the server's close comes with its code and reason", async () => {
  await using server = await serve((socket) => socket.close(4401, "expired"));
  const events = createRecorder();
  await createWebSocketDialer(server.url).open(events, options);
  assertEquals(await events.closed, { code: 4401, reason: "expired" });
});

test("a text message ends the link", async () => {
  await using server = await serve((socket) => socket.send("hello"));
  const events = createRecorder();
  await createWebSocketDialer(server.url).open(events, options);
  assertEquals((await events.closed).code, 1003);
  assertEquals(events.messages, []);
});

test("a broken link is an end", async () => {
  await using server = await serve((socket) => socket.terminate());
  const events = createRecorder();
  await createWebSocketDialer(server.url).open(events, options);
  assertEquals((await events.closed).code, 1006);
});

test("a server without the subprotocol is none", async () => {
  await using server = await serve(() => {}, () => false);
  const error = await assertRejects(() =>
    createWebSocketDialer(server.url).open(createRecorder(), options)
  );
  assert(error instanceof HearthError);
  assertEquals(error.code, "CLOSED");
});

test("what cannot be reached, or refuses sockets, is told as CLOSED", async () => {
  const http = createServer((_request, response) => response.writeHead(404).end());
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  const open = () => createWebSocketDialer(url).open(createRecorder(), options);
  assertEquals((await assertRejects(open) as HearthError).code, "CLOSED");
  await new Promise((resolve) => {
    http.close(resolve);
    if ("closeAllConnections" in http) http.closeAllConnections();
  });
  assertEquals((await assertRejects(open) as HearthError).code, "CLOSED");
});

test("an attempt that nobody answers ends with the signal", async () => {
  const held = new Set<Socket>();
  const abort = new AbortController();
  const http = createServer();
  // Accepts, and never says a word.
  http.on("upgrade", (_request, socket) => {
    held.add(socket as Socket);
    abort.abort(new Error("enough"));
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  const error = await assertRejects(() =>
    createWebSocketDialer(url).open(createRecorder(), { ...options, signal: abort.signal })
  );
  assertEquals(error.message, "enough");
  for (const socket of held) socket.destroy();
  await new Promise((resolve) => http.close(resolve));
});

test("what is no http: or https: URL is a mistake", () => {
  for (const url of ["ftp://example.org", "nonsense"]) {
    let message = "";
    try {
      createWebSocketDialer(url);
    } catch (error) {
      assert(error instanceof TypeError);
      message = error.message;
    }
    assert(message !== "", url);
  }
});
