/** The stock client's day: bind, upload, head, echo, fetch. */

import { describe, it } from "node:test";
import { assert, assertEquals } from "#assert";
import { makeBlob, makeMeta } from "../support/made.ts";
import { rpc } from "../support/raw_client.ts";
import { startStockBackend } from "./support/stock_backend.ts";
import {
  carOf,
  getBlob,
  putBlob,
  putMessage,
  stockMessages,
  stockMeta,
  StockSocket,
} from "./support/stock_wire.ts";

/** Generous, since the machine may be busy. */
const bounded = { timeout: 60_000 };

describe("the stock client's door", () => {
  it("is not there unless tokens of its clients can be checked", bounded, async () => {
    await using backend = await startStockBackend({ verifyFireproof: undefined });
    const response = await fetch(`${backend.url}/fp`, { method: "PUT", body: "{}" });
    assertEquals(response.status, 404);
    await response.body?.cancel();
  });

  it("tells every bind what was put, its sender too, and hands out the car", bounded, async () => {
    await using backend = await startStockBackend();
    const token = await backend.token();
    const [writer, reader] = [
      await StockSocket.open(backend.url),
      await StockSocket.open(backend.url),
    ];
    const mine = stockMessages({ token, reqId: "w" });
    const yours = stockMessages({ token: await backend.token("read"), reqId: "r" });
    for (const [socket, { make, bind }] of [[writer, mine], [reader, yours]] as const) {
      assertEquals((await socket.ask(make("reqOpen")))["type"], "resOpen");
      const event = await socket.ask(bind());
      assertEquals([event["type"], event["meta"]], ["eventGetMeta", { metas: [], keys: [] }]);
    }
    const car = carOf("one");
    const { signedUrl } = await writer.ask(mine.data("Put", car));
    assertEquals(await putBlob(signedUrl, "bytes"), 201);
    const meta = stockMeta([car]);
    const kept = await writer.ask(mine.putMeta([meta], ["zKey"]));
    assertEquals([kept["type"], kept["meta"]], ["resPutMeta", { metas: [meta], keys: ["zKey"] }]);
    for (const [socket, { conn, auth }] of [[writer, mine], [reader, yours]] as const) {
      const event = await socket.until((it) =>
        it["meta"]?.metas.length === 1 && it["type"] !== "resPutMeta"
      );
      assertEquals([event["conn"], event["auth"], event["meta"]], [conn, auth, {
        metas: [meta],
        keys: ["zKey"],
      }]);
    }
    const url = (await reader.ask(yours.data("Get", car)))["signedUrl"];
    assertEquals(await getBlob(url), [200, "bytes"]);
    await Promise.all([writer.close(), reader.close()]);
  });

  it("serves clients that only ask over HTTP", bounded, async () => {
    await using backend = await startStockBackend();
    const { make, bind, data, putMeta } = stockMessages({ token: await backend.token() });
    const { url } = backend;
    assertEquals((await putMessage(url, make("reqOpen"))).message["type"], "resOpen");
    const car = carOf("one");
    const put = await putMessage(url, data("Put", car));
    assertEquals(await putBlob(put.message["signedUrl"], "bytes"), 201);
    const meta = stockMeta([car]);
    assertEquals((await putMessage(url, putMeta([meta], ["k"]))).status, 200);
    const event = await putMessage(url, bind());
    assertEquals(event.message["meta"], { metas: [meta], keys: ["k"] });
  });

  it("shares a ledger with clients of hearth.v1", bounded, async () => {
    await using backend = await startStockBackend();
    const token = await backend.token();
    const socket = await StockSocket.open(backend.url);
    const { bind, data, putMeta } = stockMessages({ token });
    await socket.ask(bind());
    const blob = makeBlob(1, 1000);
    const own = makeMeta("from hearth.v1", [blob.ref]);
    await rpc(backend.url, token, "commit", {
      ledger: "acme/todos",
      metas: [own],
      blobs: [blob.upload],
      keys: ["theirs"],
    });
    await socket.until((it) =>
      it["type"] === "eventGetMeta" && it["meta"].metas[0]?.cid === own.cid
    );
    const get = await socket.ask(data("Get", blob.ref.cid));
    assertEquals((await getBlob(get["signedUrl"]))[0], 200);

    const car = carOf("from stock");
    await putBlob((await socket.ask(data("Put", car)))["signedUrl"], "bytes");
    const meta = stockMeta([car], []);
    await socket.ask(putMeta([meta]));
    const { changes } = await rpc(backend.url, token, "poll", { ledger: "acme/todos" });
    assertEquals(changes.metas.map(({ cid }) => cid), [own.cid, meta.cid]);
    assertEquals(changes.metas[1]?.blobs, [{ store: "car", cid: car }]);
    await socket.close();
  });

  it("takes a client back with its old names, and tells all heads anew", bounded, async () => {
    await using backend = await startStockBackend();
    const { make, bind, data, putMeta } = stockMessages({ token: await backend.token() });
    const first = await StockSocket.open(backend.url);
    const asked = bind();
    await first.ask(asked);
    const car = carOf("one");
    await putBlob((await first.ask(data("Put", car)))["signedUrl"], "bytes");
    const meta = stockMeta([car]);
    await first.ask(putMeta([meta]));
    await first.close();
    const second = await StockSocket.open(backend.url);
    const opened = await second.ask(make("reqOpen"));
    assertEquals(opened["conn"], { reqId: "req-1", resId: "res-1" });
    const event = await second.ask(asked);
    assertEquals(event["meta"].metas, [meta]);
    const car2 = carOf("two");
    await putBlob((await second.ask(data("Put", car2)))["signedUrl"], "bytes");
    const meta2 = stockMeta([car2], [meta.cid]);
    await second.ask(putMeta([meta2]));
    await second.until(() => second.cids.includes(meta2.cid));
    await second.close();
  });

  it("announces further cars of a commit one by one before the commit", bounded, async () => {
    await using backend = await startStockBackend();
    const { bind, data, putMeta } = stockMessages({ token: await backend.token() });
    const socket = await StockSocket.open(backend.url);
    await socket.ask(bind());
    const cars = [carOf("one"), carOf("two"), carOf("three")];
    for (const car of cars) {
      await putBlob((await socket.ask(data("Put", car)))["signedUrl"], "bytes");
    }
    const meta = stockMeta(cars);
    await socket.ask(putMeta([meta]));
    await socket.until(() => socket.cids.includes(meta.cid));
    const wanted = [...cars.slice(1).map((car) => stockMeta([car]).cid), meta.cid];
    assertEquals(socket.cids, wanted);
    const fresh = await StockSocket.open(backend.url);
    fresh.send(bind());
    await fresh.until(() => fresh.cids.includes(meta.cid));
    assertEquals(fresh.cids, wanted);
    assert(fresh.messages.every(({ meta }) => meta.metas.length === 1));
    await Promise.all([socket.close(), fresh.close()]);
  });
});
