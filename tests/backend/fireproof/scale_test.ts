/** What it costs: nothing to upload again, and one message for many heads. */

import { describe, it } from "node:test";
import { assert, assertEquals } from "#assert";
import { createMemoryMetaStore } from "../../../src/backend/stores/memory.ts";
import type { Commit } from "../../../src/backend/stores/meta_store.ts";
import { toMeta } from "../../../src/backend/fireproof/metas.ts";
import { countWrites } from "./support/count_writes.ts";
import { startStockBackend } from "./support/stock_backend.ts";
import {
  carOf,
  getBlob,
  putBlob,
  stockMessages,
  stockMeta,
  StockSocket,
} from "./support/stock_wire.ts";

/** Generous, since the machine may be busy. */
const bounded = { timeout: 120_000 };

describe("uploads of what is there", () => {
  it("write nothing, and the first bytes stay", bounded, async () => {
    const { writes, ...stores } = countWrites();
    await using backend = await startStockBackend(stores);
    const socket = await StockSocket.open(backend.url);
    const { data, bind } = stockMessages({ token: await backend.token() });
    await socket.ask(bind());
    const cars = Array.from({ length: 30 }, (_, at) => carOf(`car ${at}`));
    const bytesOf = (at: number, letter: string) => letter.repeat(at % 10 === 0 ? 100_000 : 100);
    const upload = async (letter: string) => {
      const statuses = [];
      for (const [at, car] of cars.entries()) {
        const { signedUrl } = await socket.ask(data("Put", car));
        statuses.push(await putBlob(signedUrl, bytesOf(at, letter)));
      }
      return statuses;
    };
    assert((await upload("a")).every((status) => status === 201));
    assertEquals(writes.filter((it) => it === "put").length, 3);
    writes.length = 0;
    // Another device has encrypted them with its own key.
    assert((await upload("b")).every((status) => status === 200));
    assertEquals(writes, []);
    for (const at of [0, 1]) {
      const { signedUrl } = await socket.ask(data("Get", cars[at] ?? ""));
      assertEquals(await getBlob(signedUrl), [200, bytesOf(at, "a")]);
    }
    await socket.close();
  });
});

describe("5,000 heads", () => {
  it("are told in one message", bounded, async () => {
    const metaStore = createMemoryMetaStore();
    const metas = Array.from({ length: 5000 }, (_, at) => stockMeta([carOf(`car ${at}`)]));
    for (const meta of metas) await metaStore.commit([commitOf(meta)]);
    await using backend = await startStockBackend({ metaStore });
    const { bind } = stockMessages({ token: await backend.token("read") });
    const sockets = [await StockSocket.open(backend.url), await StockSocket.open(backend.url)];
    for (const socket of sockets) {
      const event = await socket.ask(bind());
      assertEquals(event["meta"].metas, metas);
      assertEquals(socket.messages.length, 1);
      await socket.close();
    }
  });
});

function commitOf(meta: ReturnType<typeof stockMeta>): Commit {
  const parsed = toMeta(meta);
  if (!parsed) throw new TypeError("not reached: the block was made here");
  const blobs = parsed.blobs.map(({ store, cid }) => ({
    store,
    cid,
    digest: new Uint8Array(32),
    size: 0,
    bytes: new Uint8Array(0),
  }));
  return {
    ledger: "acme/todos",
    metas: [parsed],
    blobs,
    keys: [],
    supersedes: [],
    retires: [],
    create: true,
  };
}
