/** How sockets of the stock client live, and end. */

import { describe, it } from "node:test";
import { assert, assertEquals } from "#assert";
import { WebSocket as PlainSocket } from "ws";
import { eventually } from "../../harness/eventually.ts";
import { createFakeClock } from "../../harness/fake_clock.ts";
import { startStockBackend } from "./support/stock_backend.ts";
import { putMessage, stockMessages, StockSocket } from "./support/stock_wire.ts";

/** Generous, since the machine may be busy. */
const bounded = { timeout: 60_000 };

describe("a socket of the stock client", () => {
  it("is closed when the server stops, so that its client comes back", bounded, async () => {
    const backend = await startStockBackend();
    const socket = await StockSocket.open(backend.url);
    await socket.ask(stockMessages({ token: await backend.token() }).bind());
    await backend.stop();
    assertEquals(await socket.closed, 1001);
  });

  it(
    "is kept alive by pings while it is idle, and given up when nothing comes back",
    bounded,
    async () => {
      const clock = createFakeClock();
      await using backend = await startStockBackend({ clock, heartbeatMs: 10_000 });
      const socket = new PlainSocket(`${backend.url.replace("http", "ws")}/ws`, {
        autoPong: false,
      });
      const pinged = new Promise<void>((resolve) => socket.on("ping", () => resolve()));
      const closed = new Promise<void>((resolve) => socket.on("close", () => resolve()));
      const { bind } = stockMessages({ token: await backend.token() });
      const answered = new Promise<void>((resolve) => socket.on("message", () => resolve()));
      socket.on("open", () => socket.send(JSON.stringify(bind())));
      await answered;
      for (let step = 0; step < 11; step++) clock.advance(1_000);
      await pinged;
      assertEquals(socket.readyState, socket.OPEN);
      // A backlog that shrinks is a sign of life, and a runtime may tell late that its bytes have left.
      let isClosed = false;
      void closed.then(() => isClosed = true);
      await eventually(() => {
        clock.advance(1_000);
        assert(isClosed, "the socket is open");
      });
    },
  );

  it("is not opened, and no message answered, for a page of another origin", bounded, async () => {
    await using backend = await startStockBackend();
    const headers = { origin: "https://elsewhere.example" };
    const refused = new Promise<Error>((resolve) => {
      const socket = new PlainSocket(`${backend.url.replace("http", "ws")}/ws`, { headers });
      socket.on("error", resolve);
    });
    assert(
      (await refused).message.includes("403") || (await refused).message.includes("Expected 101"),
    );
    const { bind } = stockMessages({ token: await backend.token() });
    const response = await fetch(`${backend.url}/fp`, {
      method: "PUT",
      headers,
      body: JSON.stringify(bind()),
    });
    assertEquals(response.status, 403);
    await response.body?.cancel();
    assertEquals((await putMessage(backend.url, bind())).status, 200);
  });
});
