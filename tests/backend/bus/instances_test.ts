/** Several instances on one database: what happens on one reaches the watchers of all. */

import { describe, it } from "node:test";
import { assert, assertEquals } from "#assert";
import { createMemoryBusNetwork } from "../../../src/backend/bus/memory_bus.ts";
import {
  createMemoryBlobStore,
  createMemoryMetaStore,
} from "../../../src/backend/stores/memory.ts";
import type { MetaStore } from "../../../src/backend/stores/meta_store.ts";
import { parseNotice } from "../../../src/protocol/parse.ts";
import { eventually } from "../../harness/eventually.ts";
import { type Random, seededRandom, testSeed } from "../../random.ts";
import { type Chain, followChain, untilSeq, watchChain } from "../support/chain.ts";
import { type Faults, type FaultyBus, makeFaulty } from "../support/faulty_bus.ts";
import { makeBlob, makeMeta } from "../support/made.ts";
import { RawSocket, rpc } from "../support/raw_client.ts";
import { startTestBackend, type TestBackend } from "../support/test_backend.ts";

/** Generous, since the machine may be busy; one runtime's own bound is five seconds. */
const bounded = { timeout: 120_000 };

const ledger = "acme/todos";
const ledgers = ["acme/a", "acme/b", "acme/c"];

interface HouseOptions {
  readonly faults?: Faults;
  readonly random?: Random;
  /** By default so long that nothing is found by chance. */
  readonly pollMs?: number;
  readonly metaStore?: MetaStore;
}

/** Two instances. */
async function startHouse(options: HouseOptions = {}) {
  const { faults, random = seededRandom(1), pollMs = 1_000_000 } = options;
  const { metaStore = createMemoryMetaStore() } = options;
  const blobStore = createMemoryBlobStore();
  const network = createMemoryBusNetwork();
  const [nearBus, farBus] = [network.join(), network.join()].map((bus) =>
    makeFaulty(bus, random, faults)
  ) as [FaultyBus, FaultyBus]; // A map keeps the length.
  const start = (bus: FaultyBus) =>
    startTestBackend({ metaStore, blobStore, bus, busPollMs: pollMs });
  const [near, far] = [await start(nearBus), await start(farBus)];
  return {
    near,
    far,
    nearBus,
    farBus,
    network,
    metaStore,
    [Symbol.asyncDispose]: async () => {
      await Promise.all([near.stop(), far.stop()]);
      await Promise.all([nearBus, farBus].map((bus) => bus[Symbol.asyncDispose]()));
    },
  };
}

async function greet(server: TestBackend, names = [ledger]): Promise<RawSocket> {
  return await RawSocket.greet(server.url, await server.token("write", names));
}

function metasNotices(socket: RawSocket) {
  return socket.notices.filter((it) => it.method === "metas")
    .map((it) => parseNotice("metas", it.params));
}

async function commit(socket: RawSocket, text: string, keys: readonly string[] = []) {
  await socket.call("commit", { ledger, metas: [makeMeta(text)], keys });
}

describe("two instances on one database", () => {
  it("pass a commit on, once, with its keys and small blobs", bounded, async () => {
    await using house = await startHouse();
    const [writer, reader] = [await greet(house.near), await greet(house.far)];
    const chains = [await watchChain(writer, ledger), await watchChain(reader, ledger)];
    const blob = makeBlob(1, 1000);
    const metas = [makeMeta("a", [blob.ref]), makeMeta("b")];
    await writer.call("commit", { ledger, metas, blobs: [blob.upload], keys: ["k"] });
    for (const chain of chains) {
      const held = await untilSeq(chain, 2);
      assertEquals(held.metas, metas.map((it) => it.cid));
      assertEquals([...held.keys], ["k"]);
      const [notice, ...more] = metasNotices(chain.socket);
      assertEquals(more, []);
      assertEquals(notice?.blobs.map((it) => it.bytes && [...it.bytes]), [[...blob.bytes]]);
    }
    await Promise.all([writer.close(), reader.close()]);
  });

  it("tell a commit to those on its own instance without a read", bounded, async () => {
    const metaStore = createMemoryMetaStore();
    let reads = 0;
    const log = metaStore.log.bind(metaStore);
    metaStore.log = (...args) => {
      reads++;
      return log(...args);
    };
    await using house = await startHouse({ metaStore });
    const sockets = [await greet(house.near), await greet(house.near), await greet(house.near)];
    const [writer, ...readers] = sockets as [RawSocket, ...RawSocket[]]; // It has three.
    const chains = await Promise.all(readers.map((it) => watchChain(it, ledger)));
    const blob = makeBlob(1, 1000);
    const metas = [makeMeta("a", [blob.ref])];
    await writer.call("commit", { ledger, metas, blobs: [blob.upload], keys: ["k"] });
    await commit(writer, "b");
    await writer.call("commit", { ledger, keys: ["alone"] });
    await commit(writer, "c", ["l"]);
    for (const chain of chains) {
      const held = await untilSeq(chain, 3);
      assertEquals([held.metas.length, [...held.keys]], [3, ["k", "alone", "l"]]);
      const [first] = metasNotices(chain.socket);
      assertEquals(first?.blobs.map((it) => it.bytes && [...it.bytes]), [[...blob.bytes]]);
    }
    assertEquals(reads, 0);
    await Promise.all(sockets.map((it) => it.close()));
  });

  it("keep the order of commits that come through both", bounded, async () => {
    await using house = await startHouse();
    const [one, two] = [await greet(house.near), await greet(house.far)];
    const chains = [await watchChain(one, ledger), await watchChain(two, ledger)];
    const writing = [one, two].map(async (socket, which) => {
      for (let at = 0; at < 50; at++) await commit(socket, `${which}/${at}`);
    });
    await Promise.all(writing);
    const [first, second] = await Promise.all(chains.map((chain) => untilSeq(chain, 100)));
    assertEquals(first?.metas, second?.metas);
    await Promise.all([one.close(), two.close()]);
  });

  it("pass ephemeral messages on, and not back to their sender", bounded, async () => {
    await using house = await startHouse();
    const [sender, local, remote] = [
      await greet(house.near),
      await greet(house.near),
      await greet(house.far),
    ];
    for (const socket of [sender, local, remote]) await watchChain(socket, ledger);
    await sender.call("tell", { ledger, body: Uint8Array.of(1, 2, 3) });
    for (const socket of [local, remote]) {
      await socket.until((it) => it.kind === "notification" && it.method === "told");
      await socket.call("getBlobs", { ledger, blobs: [] });
      const told = socket.notices.filter((it) => it.method === "told")
        .map((it) => parseNotice("told", it.params));
      assertEquals(told.map(({ from, body }) => [from, ...body]), [["alice", 1, 2, 3]]);
    }
    assertEquals(sender.notices.filter((it) => it.method === "told"), []);
    await Promise.all([sender, local, remote].map((it) => it.close()));
  });

  it("pass keys on that come without metas", bounded, async () => {
    await using house = await startHouse();
    const [writer, reader] = [await greet(house.near), await greet(house.far)];
    const chains = [await watchChain(writer, ledger), await watchChain(reader, ledger)];
    await commit(writer, "a");
    await writer.call("commit", { ledger, keys: ["alone"] });
    for (const chain of chains) {
      await chain.socket.until(() => followChain(chain).keys.has("alone"));
      assertEquals(followChain(chain).seq, 1);
    }
    await Promise.all([writer.close(), reader.close()]);
  });

  it(
    "hand keys whose hint was lost out with the next meta, whoever commits it",
    bounded,
    async () => {
      for (const committer of ["near", "far"] as const) {
        await using house = await startHouse();
        const [writer, reader] = [await greet(house.near), await greet(house.far)];
        const chain = await watchChain(reader, ledger);
        await commit(writer, "a");
        await untilSeq(chain, 1);
        house.farBus.isDeaf = true;
        await writer.call("commit", { ledger, keys: ["lost"] });
        await eventually(() => assertEquals(house.farBus.counts.received, 2));
        await writer.call("commit", { ledger, keys: ["lost too"] });
        await eventually(() => assertEquals(house.farBus.counts.received, 3));
        house.farBus.isDeaf = false;
        await commit(committer === "near" ? writer : reader, "b", ["own"]);
        const { keys } = await untilSeq(chain, 2);
        assertEquals([...keys].sort(), ["lost", "lost too", "own"]);
        assertEquals(metasNotices(reader).filter((it) => it.reset), []);
        await Promise.all([writer.close(), reader.close()]);
      }
    },
  );

  it("tell the heads when metas are taken out", bounded, async () => {
    await using house = await startHouse();
    const [writer, reader] = [await greet(house.near), await greet(house.far)];
    const chains = [await watchChain(writer, ledger), await watchChain(reader, ledger)];
    await commit(writer, "a");
    await commit(writer, "b");
    await Promise.all(chains.map((chain) => untilSeq(chain, 2)));
    await reader.call("delMeta", { ledger, metas: [makeMeta("a").cid] });
    for (const chain of chains) {
      const { metas } = await untilSeq(chain, 3);
      assertEquals(metas, [makeMeta("b").cid]);
    }
    await Promise.all([writer.close(), reader.close()]);
  });

  it("wake a poll that waits on the other one", bounded, async () => {
    await using house = await startHouse();
    const writer = await greet(house.near);
    await commit(writer, "a");
    const token = await house.far.token();
    const { changes: { cursor } } = await rpc(house.far.url, token, "poll", { ledger });
    const waiting = rpc(house.far.url, token, "poll", { ledger, cursor, waitMs: 30_000 });
    await commit(writer, "b");
    const { changes } = await waiting;
    assertEquals(changes.metas.map((it) => it.cid), [makeMeta("b").cid]);
    await writer.close();
  });

  it("find by looking what no hint has told", bounded, async () => {
    await using house = await startHouse({ faults: { drop: 100 }, pollMs: 100 });
    const [writer, reader] = [await greet(house.near), await greet(house.far)];
    const chain = await watchChain(reader, ledger);
    for (let at = 0; at < 5; at++) {
      await commit(writer, `${at}`);
      await untilSeq(chain, at + 1);
    }
    await writer.call("delMeta", { ledger, metas: [makeMeta("1").cid] });
    await untilSeq(chain, 6);
    await Promise.all([writer.close(), reader.close()]);
  });

  it("find after a gap what was lost in it", bounded, async () => {
    await using house = await startHouse();
    const [writer, reader] = [await greet(house.near), await greet(house.far)];
    const chain = await watchChain(reader, ledger);
    house.farBus.isDeaf = true;
    for (let at = 0; at < 5; at++) {
      await commit(writer, `${at}`);
      await eventually(() => assertEquals(house.farBus.counts.received, at + 1));
    }
    assertEquals(followChain(chain).seq, 0);
    house.farBus.isDeaf = false;
    house.farBus.gap();
    await untilSeq(chain, 5);
    assertEquals(metasNotices(reader).length, 1);
    await Promise.all([writer.close(), reader.close()]);
  });

  it("are not misled by hints of what is not there", bounded, async () => {
    await using house = await startHouse();
    await using stranger = house.network.join();
    const [writer, reader] = [await greet(house.near), await greet(house.far)];
    const chain = await watchChain(reader, ledger);
    await commit(writer, "a");
    await untilSeq(chain, 1);
    for (const seq of [0, 1, 2, 999, Number.MAX_SAFE_INTEGER]) {
      const { received } = house.farBus.counts;
      stranger.publish([{ ledger, seq }, { ledger: "acme/none", seq, keys: true }]);
      await eventually(() => assertEquals(house.farBus.counts.received, received + 1));
    }
    await commit(writer, "b");
    const { metas } = await untilSeq(chain, 2);
    assertEquals(metas.length, 2);
    await Promise.all([writer.close(), reader.close()]);
  });

  const faults = {
    "passed on": {},
    "reordered and doubled": { drop: 5, duplicate: 40, delay: 50 },
    "mostly lost": { drop: 80, delay: 50 },
  };
  for (const name of ["passed on", "reordered and doubled", "mostly lost"] as const) {
    it(`leave nobody behind when hints are ${name}`, bounded, async () => {
      const random = seededRandom(testSeed());
      await using house = await startHouse({
        random,
        metaStore: slow(createMemoryMetaStore(), random),
        pollMs: 200,
        faults: faults[name],
      });
      await runAtRandom(house, random);
    });
  }
});

type House = Awaited<ReturnType<typeof startHouse>>;

async function runAtRandom(house: House, random: Random): Promise<void> {
  const instances = [house.near, house.far];
  const chains: Chain[] = [];
  const sockets: RawSocket[] = [];
  const join = async (server: TestBackend) => {
    const socket = await greet(server, ledgers);
    sockets.push(socket);
    for (const it of ledgers) chains.push(await watchChain(socket, it));
  };
  for (const server of [...instances, ...instances]) await join(server);
  const committed = new Map<string, string[]>();
  const keys = new Map<string, string[]>();
  let count = 0;
  const writing = sockets.map(async (socket) => {
    for (let at = 0; at < 40; at++) {
      const target = random.pick(ledgers);
      const what = random.below(20);
      if (what === 0) {
        const known = committed.get(target) ?? [];
        const metas = known.length > 0 ? [random.pick(known)] : [];
        await socket.call("delMeta", { ledger: target, metas });
      } else if (what < 4) {
        const key = `key ${count++}`;
        await socket.call("commit", { ledger: target, keys: [key] });
        keys.set(target, [...keys.get(target) ?? [], key]);
      } else {
        const metas = Array.from({ length: 1 + random.below(3) }, () => makeMeta(`m${count++}`));
        const key = `key ${count}`;
        await socket.call("commit", { ledger: target, metas, keys: [key] });
        committed.set(target, [...committed.get(target) ?? [], ...metas.map((it) => it.cid)]);
        keys.set(target, [...keys.get(target) ?? [], key]);
      }
    }
  });
  const joining = (async () => {
    for (let at = 0; at < 4; at++) {
      await new Promise((resolve) => setTimeout(resolve, random.below(20)));
      await join(random.pick(instances));
    }
  })();
  await Promise.all([...writing, joining]);
  const [writer] = sockets;
  assert(writer);
  for (const it of ledgers) {
    // Keys that came alone come with the next meta at the latest: this is it.
    await writer.call("commit", { ledger: it, metas: [makeMeta(`last of ${it}`)] });
    const { metas: heads, seq } = await house.metaStore.heads(it);
    for (const chain of chains.filter(({ ledger }) => ledger === it)) {
      const held = await untilSeq(chain, seq);
      assertEquals(held.seq, seq);
      assertEquals((keys.get(it) ?? []).filter((key) => !held.keys.has(key)), []);
      assertEquals(heads.filter(({ cid }) => !held.metas.includes(cid)), []);
    }
  }
  await Promise.all(sockets.map((socket) => socket.close()));
}

/** A database whose reads take different times. */
function slow(store: MetaStore, random: Random): MetaStore {
  const wait = () => new Promise((resolve) => setTimeout(resolve, random.below(4)));
  const late =
    <Args extends readonly unknown[], T>(read: (...args: Args) => Promise<T>) =>
    async (...args: Args): Promise<T> => {
      await wait();
      const found = await read(...args);
      await wait();
      return found;
    };
  store.log = late(store.log.bind(store));
  store.heads = late(store.heads.bind(store));
  store.bounds = late(store.bounds.bind(store));
  store.boundsOf = late(store.boundsOf.bind(store));
  return store;
}
