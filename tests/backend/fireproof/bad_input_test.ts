/** Whatever comes: an error in the client's form, or a close; never a dead process. */

import { describe, it } from "node:test";
import { assert, assertEquals } from "#assert";
import { startStockBackend } from "./support/stock_backend.ts";
import {
  carOf,
  type Message,
  putMessage,
  stockMessages,
  stockMeta,
  StockSocket,
} from "./support/stock_wire.ts";

/** Generous, since the machine may be busy. */
const bounded = { timeout: 120_000 };

/** Fields that turn a good bind into a bad one. */
const badFields: Readonly<Record<string, Message>> = {
  "no type": { type: undefined },
  "a type that every object has": { type: "constructor" },
  "a tid that is no text": { tid: 7 },
  "an empty tid": { tid: "" },
  "a long tid": { tid: "x".repeat(1000) },
  "no conn": { conn: undefined },
  "half a conn": { conn: { reqId: "a" } },
  "a conn that is a list": { conn: [] },
  "an unknown version": { version: "FP-MSG-2.0" },
  "no auth": { auth: undefined },
  "auth without params": { auth: { type: "fp-cloud-jwk" } },
  "auth that is null": { auth: null },
  "auth of another kind": { auth: { type: "ucan", params: { tbd: "x" } } },
  "a token that is a map": { auth: { type: "fp-cloud-jwk", params: { jwk: {} } } },
  "a tenant that is a text": { tenant: "acme" },
  "a tenant that is a path": { tenant: { tenant: "..", ledger: "todos" } },
  "a ledger that is no name": { tenant: { tenant: "acme", ledger: "a/b" } },
  "no urlParam": { urlParam: undefined },
};

const notMaps = ["null", "7", '"text"', "[]", "{}", "true", '{"__proto__":{"type":"reqOpen"}}'];

describe("bad input at the stock client's door", () => {
  it("is answered by an error, and the socket goes on", bounded, async () => {
    await using backend = await startStockBackend();
    const socket = await StockSocket.open(backend.url);
    const { bind } = stockMessages({ token: await backend.token() });
    await socket.ask(bind());
    for (const text of [...notMaps, "", "{", "\0", "\u{1F525}"]) {
      const before = socket.messages.length;
      socket.send(text);
      const answer = await socket.until(() => true, before);
      assertEquals([answer["type"], answer["auth"]], ["error", { type: "error" }], text);
      assertEquals((await putMessage(backend.url, text)).message["type"], "error", text);
    }
    for (const [name, fields] of Object.entries(badFields)) {
      const before = socket.messages.length;
      socket.send(bind(fields));
      const answer = await socket.until(() => true, before);
      assertEquals([answer["type"], answer["version"]], ["error", "FP-MSG-1.0"], name);
      assert(typeof answer["auth"].type === "string", name);
      const { status, message } = await putMessage(backend.url, bind(fields));
      assert(status >= 400 && status < 500 && message["type"] === "error", name);
    }
    assertEquals((await socket.ask(bind()))["type"], "eventGetMeta");
    assert(!backend.log.some(({ level }) => level === "error"));
    await socket.close();
  });

  it("binary and text are the same", bounded, async () => {
    await using backend = await startStockBackend();
    const socket = await StockSocket.open(backend.url);
    const { bind } = stockMessages({ token: await backend.token() });
    for (const make of [(it: Message) => it, (it: Message) => JSON.stringify(it)]) {
      const asked = bind();
      socket.send(make(asked));
      const answer = await socket.until((it) => it["tid"] === asked["tid"]);
      assertEquals(answer["type"], "eventGetMeta");
    }
    await socket.close();
  });

  it("a message of 10 MB ends its socket, and is refused over HTTP", bounded, async () => {
    await using backend = await startStockBackend();
    const socket = await StockSocket.open(backend.url);
    const { bind } = stockMessages({ token: await backend.token() });
    socket.send(" ".repeat(10 << 20));
    assertEquals(await socket.closed, 1009);
    const response = await fetch(`${backend.url}/fp`, {
      method: "PUT",
      body: " ".repeat(10 << 20),
    }).catch(() => undefined);
    // A runtime may find its connection ended before it has read why.
    if (response) assertEquals([response.status, (await response.json()).type], [413, "error"]);
    assertEquals((await putMessage(backend.url, bind())).status, 200);
  });

  it("a socket that shows no good token in time is closed", bounded, async () => {
    await using backend = await startStockBackend();
    const socket = await StockSocket.open(backend.url);
    const { bind } = stockMessages({ token: "no.good.token" });
    assertEquals((await socket.ask(bind()))["type"], "error");
    assertEquals(await socket.closed, 1008);
  });

  it("of 10,000 binds on one socket, a bounded number is kept", bounded, async () => {
    await using backend = await startStockBackend();
    const socket = await StockSocket.open(backend.url);
    const token = await backend.token();
    const last = "req-10000";
    for (let at = 1; at <= 10_000; at++) {
      socket.send(stockMessages({ token, reqId: `req-${at}` }).bind());
    }
    const answer = await socket.until(({ conn, src }) =>
      conn?.reqId === last || src?.conn?.reqId === last
    );
    assertEquals(answer["type"], "error");
    const bound = socket.messages.filter(({ type }) => type === "eventGetMeta");
    assertEquals([bound.length, socket.messages.length], [1000, 10_000]);
    // The same bind again is no further one.
    const again = stockMessages({ token, reqId: "req-1" }).bind();
    assertEquals((await socket.ask(again))["type"], "eventGetMeta");
    await socket.close();
  });

  it("a meta that is not what it says is refused", bounded, async () => {
    await using backend = await startStockBackend();
    const { putMeta } = stockMessages({ token: await backend.token() });
    const good = stockMeta([carOf("a")]);
    const other = stockMeta([carOf("b")]);
    for (
      const bad of [
        { ...good, cid: other.cid },
        { ...good, parents: [other.cid] },
        {
          ...good,
          data: `${good.data}=`,
        },
        { ...good, data: 7 },
        { ...good, cid: undefined },
      ]
    ) {
      const { message } = await putMessage(backend.url, putMeta([bad]));
      // What is no block at all is left out; what is another one is refused.
      const isLeftOut = message["type"] === "resPutMeta" && message["meta"].metas.length === 0;
      assert(message["type"] === "error" || isLeftOut, JSON.stringify(message));
    }
    assertEquals(await backend.deps.metaStore.heldMetas("acme/todos"), []);
  });
});
