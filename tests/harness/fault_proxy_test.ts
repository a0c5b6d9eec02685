/** The proxy fails the way it says. */

import { connect, createServer, type Server, type Socket } from "node:net";
import { test } from "node:test";
import { assert, assertEquals } from "#assert";
import { eventually } from "./eventually.ts";
import { type FaultProxy, startFaultProxy } from "./fault_proxy.ts";

test("pass: bytes go both ways, and are counted", async () => {
  await using echo = await startEcho();
  await using proxy = await startFaultProxy({ target: echo.port });
  await using client = await dial(proxy);
  client.socket.write("hello");
  await eventually(() => assertEquals(client.received, "hello"));
  assertEquals([proxy.bytesUp, proxy.bytesDown, proxy.accepted, proxy.open], [5, 5, 1, 1]);
  client.socket.end();
  await eventually(() => assert(client.closed));
  await eventually(() => assertEquals(proxy.open, 0));
});

test("hole: an old connection goes silent for good, a new one is accepted and silent", async () => {
  await using echo = await startEcho();
  await using proxy = await startFaultProxy({ target: echo.port });
  await using old = await dial(proxy);
  old.socket.write("a");
  await eventually(() => assertEquals(old.received, "a"));
  await proxy.set("hole");
  await using young = await dial(proxy);
  old.socket.write("b");
  young.socket.write("c");
  await eventually(() => assertEquals(proxy.bytesUp, 3));
  await proxy.set("pass");
  old.socket.write("d");
  await eventually(() => assertEquals(proxy.bytesUp, 4));
  await using fresh = await dial(proxy);
  fresh.socket.write("e");
  await eventually(() => assertEquals(fresh.received, "e"));
  assertEquals([old.received, young.received, echo.received], ["a", "", "ae"]);
  assert(!old.closed && !young.closed);
});

test("hole: the end of the client stays hidden from the server", async () => {
  await using echo = await startEcho();
  await using proxy = await startFaultProxy({ target: echo.port });
  await using client = await dial(proxy);
  client.socket.write("a");
  await eventually(() => assertEquals(client.received, "a"));
  await proxy.set("hole");
  client.socket.destroy();
  await eventually(() => assert(client.closed));
  assertEquals([echo.open, proxy.open], [1, 1]);
});

test("reset: old and new connections end; pass brings new ones back", async () => {
  await using echo = await startEcho();
  await using proxy = await startFaultProxy({ target: echo.port });
  await using old = await dial(proxy);
  await proxy.set("reset");
  await eventually(() => assert(old.closed));
  await using young = await dial(proxy);
  await eventually(() => assert(young.closed));
  await proxy.set("pass");
  await using fresh = await dial(proxy);
  fresh.socket.write("x");
  await eventually(() => assertEquals(fresh.received, "x"));
});

test("refuse: nobody listens until the mode changes, then on the same port", async () => {
  await using echo = await startEcho();
  await using proxy = await startFaultProxy({ target: echo.port, mode: "refuse" });
  await using refused = await dial(proxy);
  assert(refused.closed);
  await proxy.set("pass");
  await using fresh = await dial(proxy);
  fresh.socket.write("x");
  await eventually(() => assertEquals(fresh.received, "x"));
  await proxy.set("refuse");
  await eventually(() => assert(fresh.closed));
});

test("slow: everything arrives, in order", async () => {
  await using echo = await startEcho();
  await using proxy = await startFaultProxy({
    target: echo.port,
    mode: "slow",
    bytesPerSecond: 20_000,
  });
  await using client = await dial(proxy);
  const text = Array.from({ length: 1000 }, (_, index) => `${index},`).join("");
  client.socket.write(text);
  await eventually(() => assertEquals(client.received, text));
});

interface Echo extends AsyncDisposable {
  readonly port: number;
  readonly received: string;
  readonly open: number;
}

async function startEcho(): Promise<Echo> {
  const sockets = new Set<Socket>();
  let received = "";
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    socket.on("data", (bytes) => {
      received += bytes;
      socket.write(bytes);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") {
    throw new TypeError("Expected a TCP address");
  }
  return {
    port: address.port,
    get received() {
      return received;
    },
    get open() {
      return sockets.size;
    },
    [Symbol.asyncDispose]: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

interface Dialled extends AsyncDisposable {
  readonly socket: Socket;
  readonly received: string;
  readonly closed: boolean;
}

/** Connects, or finds out that it cannot. */
async function dial(proxy: FaultProxy): Promise<Dialled> {
  const socket = connect(proxy.port, "127.0.0.1");
  let received = "";
  let closed = false;
  socket.on("error", () => {});
  socket.on("data", (bytes) => (received += bytes));
  await new Promise<void>((resolve) => {
    socket.once("connect", resolve);
    socket.once("close", () => {
      closed = true;
      resolve();
    });
  });
  return {
    socket,
    get received() {
      return received;
    },
    get closed() {
      return closed;
    },
    [Symbol.asyncDispose]: () => {
      socket.destroy();
      return Promise.resolve();
    },
  };
}
