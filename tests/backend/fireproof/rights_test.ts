/** Only who may: each message by its own token, on its own ledger. */

import { describe, it } from "node:test";
import { assert, assertEquals } from "#assert";
import { startStockBackend } from "./support/stock_backend.ts";
import {
  carOf,
  getBlob,
  type Message,
  putBlob,
  putMessage,
  stockMessages,
  stockMeta,
  StockSocket,
} from "./support/stock_wire.ts";
import { createFakeClock } from "../../harness/fake_clock.ts";

/** Generous, since the machine may be busy. */
const bounded = { timeout: 60_000 };

type Messages = ReturnType<typeof stockMessages>;

/** Each message that concerns a ledger, and whether it changes something there. */
const samples: Readonly<Record<string, { writes: boolean; make: (it: Messages) => Message }>> = {
  reqGetData: { writes: false, make: (it) => it.data("Get", carOf("a")) },
  reqPutData: { writes: true, make: (it) => it.data("Put", carOf("a")) },
  reqDelData: { writes: true, make: (it) => it.data("Del", carOf("a")) },
  bindGetMeta: { writes: false, make: (it) => it.bind() },
  reqPutMeta: { writes: true, make: (it) => it.putMeta([], ["key"]) },
  reqDelMeta: { writes: true, make: (it) => it.make("reqDelMeta", { urlParam: { key: "main" } }) },
  reqGetWAL: { writes: true, make: (it) => it.make("reqGetWAL", { urlParam: { key: "w" } }) },
  reqPutWAL: { writes: true, make: (it) => it.make("reqPutWAL", { urlParam: { key: "w" } }) },
  reqDelWAL: { writes: true, make: (it) => it.make("reqDelWAL", { urlParam: { key: "w" } }) },
};

describe("rights at the stock client's door", () => {
  for (const [name, { writes, make }] of Object.entries(samples)) {
    it(
      `${name} needs the right to ${writes ? "write" : "read"} on its ledger`,
      bounded,
      async () => {
        await using backend = await startStockBackend();
        const socket = await StockSocket.open(backend.url);
        const tokens = {
          write: await backend.token("write"),
          read: await backend.token("read"),
          other: await backend.token("admin", ["acme/other", "other/todos"]),
          none: "no.token.atall",
        };
        for (const [right, token] of Object.entries(tokens)) {
          const may = right === "write" || (right === "read" && !writes);
          for (const ask of [(it: Message) => socket.ask(it), overHttp]) {
            const answer = await ask(make(stockMessages({ token })));
            assertEquals(answer["type"] !== "error", may, `${right}: ${JSON.stringify(answer)}`);
          }
        }
        await socket.close();

        async function overHttp(message: Message): Promise<Message> {
          return (await putMessage(backend.url, message)).message;
        }
      },
    );
  }

  it("a tenant of one grant with the ledger of another is no grant", bounded, async () => {
    await using backend = await startStockBackend();
    const token = await backend.token("write", ["one/a", "two/b"]);
    for (const [ledger, may] of [["one/a", true], ["two/b", true], ["one/b", false]] as const) {
      const { message } = await putMessage(backend.url, stockMessages({ token, ledger }).bind());
      assertEquals(message["type"] !== "error", may);
    }
  });

  it(
    "the ledger that the token was made for is taken for messages without one",
    bounded,
    async () => {
      await using backend = await startStockBackend();
      const { bind } = stockMessages({ token: await backend.token("read") });
      const { message } = await putMessage(backend.url, bind({ tenant: undefined }));
      assertEquals(message["tenant"], { tenant: "acme", ledger: "todos" });
    },
  );

  it("keys of URLs are CIDs and nothing else", bounded, async () => {
    await using backend = await startStockBackend();
    const { data } = stockMessages({ token: await backend.token() });
    const bad = [
      "../../../other/todos/car/x",
      "key-test",
      "",
      `${carOf("a")}/..`,
      carOf("a").toUpperCase(),
    ];
    for (const key of bad) {
      const { message } = await putMessage(backend.url, data("Get", key));
      assertEquals(message["type"], "error", key);
    }
    for (const key of ["../x", "a/b", "a.b", "ü"]) {
      const { message } = await putMessage(backend.url, data("Put", key, "file"));
      assertEquals(message["type"], "error", key);
    }
  });

  it("a signed URL serves what it was signed for and nothing else", bounded, async () => {
    await using backend = await startStockBackend();
    const { data } = stockMessages({ token: await backend.token() });
    const sign = async (verb: "Get" | "Put") =>
      (await putMessage(backend.url, data(verb, carOf("a")))).message["signedUrl"] as string;
    const [get, put] = [await sign("Get"), await sign("Put")];
    assertEquals(await putBlob(get, "bytes"), 403);
    assertEquals(await putBlob(put.replace("acme/todos", "acme/other"), "bytes"), 403);
    assertEquals(await putBlob(put.replace(carOf("a"), carOf("b")), "bytes"), 403);
    assertEquals(await putBlob(put.replace("/car/", "/file/"), "bytes"), 403);
    assertEquals(await putBlob(put, "bytes"), 201);
    assertEquals((await getBlob(put))[0], 403);
    assertEquals(await getBlob(get), [200, "bytes"]);
    const expires = Number(new URL(get).searchParams.get("expires")) * 1000;
    assert(expires <= Date.now() + 15 * 60_000);
  });

  it("records are their writer's own", bounded, async () => {
    await using backend = await startStockBackend();
    const sign = async (verb: string, subject: string) => {
      const token = await backend.token("write", ["acme/todos"], { subject });
      const asked = stockMessages({ token }).make(`req${verb}WAL`, { urlParam: { key: "wal" } });
      return (await putMessage(backend.url, asked)).message["signedUrl"] as string;
    };
    assertEquals(await putBlob(await sign("Put", "alice"), "hers"), 200);
    assertEquals(await getBlob(await sign("Get", "alice")), [200, "hers"]);
    assertEquals((await getBlob(await sign("Get", "bob")))[0], 404);
  });

  it("one socket carries many users, and each hears of its own ledgers", bounded, async () => {
    await using backend = await startStockBackend();
    const socket = await StockSocket.open(backend.url);
    const alice = stockMessages({
      token: await backend.token("write", ["one/a"]),
      ledger: "one/a",
    });
    const bob = stockMessages({ token: await backend.token("write", ["two/b"]), ledger: "two/b" });
    await socket.ask(alice.bind());
    const other = await StockSocket.open(backend.url);
    await other.ask(bob.bind());
    await putBlob((await socket.ask(alice.data("Put", carOf("a"))))["signedUrl"], "bytes");
    await socket.ask(alice.putMeta([stockMeta([carOf("a")])], ["secret"]));
    await socket.until(() => socket.cids.length === 1);
    assertEquals((await socket.ask(bob.bind()))["meta"], { metas: [], keys: [] });
    // Behind it: what was not sent before this answer is not on its way either.
    await other.ask(bob.make("reqChat", { message: "/ping", targets: [] }));
    assertEquals(other.cids, []);
    assert(!JSON.stringify(other.messages).includes("secret"));
    await Promise.all([socket.close(), other.close()]);
  });

  it(
    "a bind ends with its token, and a newer token of the same user goes on with it",
    bounded,
    async () => {
      const clock = createFakeClock();
      await using backend = await startStockBackend({ clock, heartbeatMs: 1e9 });
      const short = { lifeMs: 60_000 };
      const token = await backend.token("read", ["acme/todos"], short);
      const [ending, renewed] = [
        await StockSocket.open(backend.url),
        await StockSocket.open(backend.url),
      ];
      await ending.ask(stockMessages({ token }).bind());
      await renewed.ask(stockMessages({ token }).bind());
      clock.advance(30_000);
      const fresh = stockMessages({ token: await backend.token("read", ["acme/todos"], short) });
      await renewed.ask(fresh.make("reqChat", { message: "/ping", targets: [] }));
      for (let step = 0; step < 45; step++) clock.advance(1_000);
      assertEquals(await ending.closed, 4401);
      assertEquals((await renewed.ask(fresh.bind()))["type"], "eventGetMeta");
      await renewed.close();
    },
  );
});
