/** No head before its cars (G9), in whatever order they come, and whoever dies in between. */

import { after, describe, it } from "node:test";
import { assert, assertEquals } from "#assert";
import { join } from "node:path";
import type { BackendDeps } from "../../../src/backend/start_backend.ts";
import {
  createMemoryBlobStore,
  createMemoryMetaStore,
} from "../../../src/backend/stores/memory.ts";
import type { MetaStore } from "../../../src/backend/stores/meta_store.ts";
import { openPostgres } from "../../../src/backend/stores/postgres.ts";
import { openSqlite } from "../../../src/backend/stores/sqlite.ts";
import { createMemoryBusNetwork } from "../../../src/backend/bus/memory_bus.ts";
import { eventually } from "../../harness/eventually.ts";
import { openTestDatabases } from "../../harness/postgres_server.ts";
import { makeTempFolder } from "../../harness/temp_folder.ts";
import { makeBlob } from "../support/made.ts";
import { rpc } from "../support/raw_client.ts";
import type { TestBackend } from "../support/test_backend.ts";
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
const bounded = { timeout: 120_000 };
const ledger = "acme/todos";

async function upload(backend: TestBackend, car: string, bytes = "bytes"): Promise<number> {
  const { data } = stockMessages({ token: await backend.token() });
  const { message } = await putMessage(backend.url, data("Put", car));
  return await putBlob(message["signedUrl"], bytes);
}

async function putMeta(backend: TestBackend, cars: readonly string[], keys?: readonly string[]) {
  const meta = stockMeta(cars);
  // Each from a process of its own.
  const messages = stockMessages({ token: await backend.token(), reqId: crypto.randomUUID() });
  const { message } = await putMessage(backend.url, messages.putMeta([meta], keys));
  assertEquals(message["type"], "resPutMeta", JSON.stringify(message));
  return meta;
}

/** What readers of both doors see. */
async function headsOf(backend: TestBackend) {
  const token = await backend.token("read");
  const { message } = await putMessage(backend.url, stockMessages({ token }).bind());
  const { changes } = await rpc(backend.url, token, "poll", { ledger });
  const cids = changes.metas.map(({ cid }) => cid);
  assertEquals(message["meta"].metas.map(({ cid }: { cid: string }) => cid), cids);
  return cids;
}

describe("a head whose cars are late", () => {
  it("is acknowledged, and reaches readers with its last car", bounded, async () => {
    await using backend = await startStockBackend();
    const [one, two] = [carOf("one"), carOf("two")];
    const socket = await StockSocket.open(backend.url);
    await socket.ask(stockMessages({ token: await backend.token("read") }).bind());
    const meta = await putMeta(backend, [one, two], ["key"]);
    assertEquals(await headsOf(backend), []);
    assert(backend.log.some((line) => line["message"] === "metas wait for their cars"));
    await upload(backend, one);
    assertEquals(await headsOf(backend), []);
    await upload(backend, two);
    assertEquals(await headsOf(backend), [meta.cid]);
    await socket.until(() => socket.cids.at(-1) === meta.cid);
    // The key and the car by itself come before it, so that the client can open all when it comes.
    assertEquals(socket.cids, [stockMeta([two]).cid, meta.cid]);
    const keys = socket.messages.map(({ meta }) => meta.keys);
    assert(keys.slice(0, -1).some((it) => it.includes("key")), JSON.stringify(keys));
    assertEquals(await backend.deps.metaStore.heldMetas(ledger), []);
    await socket.close();
  });

  it("holds up no other head", bounded, async () => {
    await using backend = await startStockBackend();
    await putMeta(backend, [carOf("late")]);
    await upload(backend, carOf("there"));
    const meta = await putMeta(backend, [carOf("there")]);
    assertEquals(await headsOf(backend), [meta.cid]);
  });

  it(
    "holds up what follows it or comes from its sender, and all come in order",
    bounded,
    async () => {
      await using backend = await startStockBackend();
      const token = await backend.token();
      const own = stockMessages({ token, reqId: "own" });
      const cars = ["first", "second", "third"].map(carOf);
      const first = stockMeta([cars[0] ?? ""]);
      const second = stockMeta([cars[1] ?? ""], [first.cid]);
      const third = stockMeta([cars[2] ?? ""], [second.cid]);
      // The client names as parents what events have told it of, and not what it has just put.
      const beside = stockMeta([cars[1] ?? ""]);
      const other = stockMeta([cars[2] ?? ""]);
      await upload(backend, cars[1] ?? "");
      await upload(backend, cars[2] ?? "");
      for (
        const message of [
          own.putMeta([first]),
          stockMessages({ token, reqId: "another" }).putMeta([second, third]),
          own.putMeta([beside]),
          stockMessages({ token, reqId: "a third" }).putMeta([other]),
        ]
      ) {
        assertEquals((await putMessage(backend.url, message)).status, 200);
      }
      assertEquals(await headsOf(backend), [other.cid]);
      assertEquals((await backend.deps.metaStore.heldMetas(ledger)).length, 4);
      await upload(backend, cars[0] ?? "");
      const all = [other, first, second, third, beside].map(({ cid }) => cid);
      assertEquals(await headsOf(backend), all);
      assertEquals(await backend.deps.metaStore.heldMetas(ledger), []);
    },
  );

  it("is released by a car that came through hearth.v1, with the next bind", bounded, async () => {
    await using backend = await startStockBackend();
    const blob = makeBlob(3, 100);
    const meta = await putMeta(backend, [blob.ref.cid]);
    const token = await backend.token();
    await rpc(backend.url, token, "commit", { ledger, blobs: [blob.upload] });
    assertEquals(await headsOf(backend), [meta.cid]);
  });

  it("is refused when too many wait, and those that wait come through", bounded, async () => {
    await using backend = await startStockBackend();
    const { putMeta: message } = stockMessages({ token: await backend.token() });
    const metas = Array.from({ length: 1000 }, (_, at) => stockMeta([carOf(`late ${at}`)]));
    for (const part of [metas.slice(0, 500), metas.slice(500)]) {
      assertEquals((await putMessage(backend.url, message(part))).status, 200);
    }
    const { status, message: refused } = await putMessage(
      backend.url,
      message([stockMeta([carOf("one more")])]),
    );
    assertEquals([status, refused["type"]], [429, "error"]);
    // All are of one sender: each waits for those before it.
    await upload(backend, carOf("late 1"));
    assertEquals(await headsOf(backend), []);
    await upload(backend, carOf("late 0"));
    assertEquals(await headsOf(backend), metas.slice(0, 2).map(({ cid }) => cid));
  });

  it("is released when its car races it, in a hundred rounds", bounded, async () => {
    await using backend = await startStockBackend();
    const rounds = Array.from({ length: 100 }, (_, at) => carOf(`round ${at}`));
    const metas = await Promise.all(rounds.map(async (car) => {
      const [meta] = await Promise.all([putMeta(backend, [car]), upload(backend, car)]);
      return meta.cid;
    }));
    assertEquals((await backend.deps.metaStore.heldMetas(ledger)).length, 0);
    assertEquals((await headsOf(backend)).toSorted(), metas.toSorted());
  });
});

describe("a car that is announced and late", () => {
  it("is waited for, and is not found when it is not announced", bounded, async () => {
    await using backend = await startStockBackend();
    const { data } = stockMessages({ token: await backend.token("read") });
    const url = async (car: string) =>
      (await putMessage(backend.url, data("Get", car))).message["signedUrl"] as string;
    assertEquals((await getBlob(await url(carOf("nobody's"))))[0], 404);
    await putMeta(backend, [carOf("late")]);
    let isAnswered = false;
    const late = getBlob(await url(carOf("late"))).finally(() => isAnswered = true);
    // Another request, behind it, is answered meanwhile.
    await headsOf(backend);
    assertEquals(isAnswered, false);
    await upload(backend, carOf("late"), "late bytes");
    assertEquals(await late, [200, "late bytes"]);
  });

  it("is given up when the server stops", bounded, async () => {
    const backend = await startStockBackend();
    await putMeta(backend, [carOf("never")]);
    const { data } = stockMessages({ token: await backend.token("read") });
    const { message } = await putMessage(backend.url, data("Get", carOf("never")));
    const waiting = getBlob(message["signedUrl"]);
    await eventually(() => assert(backend.log.length > 0));
    await headsOf(backend);
    await Promise.all([
      backend.stop(),
      waiting.then(([status]) => assertEquals(status, 404), () => {}),
    ]);
  });
});

/** Stores that outlive a server. @param open opens the same one each time */
function restarts(
  name: string,
  open: (use: (open: () => Promise<MetaStore>) => Promise<void>) => Promise<void>,
) {
  it(`outlives a server, on ${name}`, bounded, () =>
    open(async (openStore) => {
      const blobStore = createMemoryBlobStore();
      const run = async <T>(work: (backend: TestBackend) => Promise<T>): Promise<T> => {
        await using metaStore = await openStore();
        await using backend = await startStockBackend({ metaStore, blobStore });
        return await work(backend);
      };
      const held = await run((backend) => putMeta(backend, [carOf("one"), carOf("two")]));
      await run(async (backend) => {
        assertEquals(await headsOf(backend), []);
        await upload(backend, carOf("one"));
      });
      await run(async (backend) => {
        await upload(backend, carOf("two"));
        assertEquals(await headsOf(backend), [held.cid]);
      });
      // As if a server had died between keeping a car and releasing the head.
      const whole = stockMeta([carOf("one")]);
      {
        await using metaStore = await openStore();
        const bytes = new Uint8Array([...atob(whole.data.slice(1))].map((it) => it.charCodeAt(0)));
        const blobs = [{ store: "car", cid: carOf("one") } as const];
        await metaStore.hold(ledger, [{ cid: whole.cid, parents: [], data: bytes, blobs }], 10);
      }
      await run(async (backend) => {
        const { metaStore } = backend.deps;
        await eventually(async () => assertEquals(await metaStore.heldMetas(ledger), []));
        assertEquals(await headsOf(backend), [held.cid, whole.cid]);
      });
    }));
}

describe("what waits", () => {
  const databases = openTestDatabases();
  after(() => databases[Symbol.asyncDispose]());

  restarts("SQLite", async (use) => {
    await using folder = await makeTempFolder();
    await use(() => openSqlite({ path: join(folder.path, "hearth.db") }));
  });
  restarts("Postgres", async (use) => {
    await using database = await databases.take();
    await use(() => openPostgres({ url: database.url }));
  });

  it("is released by whichever instance gets the car, on both", bounded, async () => {
    const metaStore = createMemoryMetaStore();
    const blobStore = createMemoryBlobStore();
    const network = createMemoryBusNetwork();
    const start = (deps: Partial<BackendDeps>) =>
      startStockBackend({ metaStore, blobStore, busPollMs: 1_000_000, ...deps });
    await using near = await start({ bus: network.join() });
    await using far = await start({ bus: network.join() });
    const socket = await StockSocket.open(near.url);
    await socket.ask(stockMessages({ token: await near.token("read") }).bind());
    const meta = await putMeta(near, [carOf("one")]);
    await upload(far, carOf("one"));
    await socket.until(() => socket.cids.includes(meta.cid));
    assertEquals([await headsOf(near), await headsOf(far)], [[meta.cid], [meta.cid]]);
    await socket.close();
  });
});
