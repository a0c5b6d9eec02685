/** All connections are looked at, each once a second, and those that are gone leave nothing behind. */

import { test } from "node:test";
import { assert, assertEquals } from "#assert";
import { Connections, roundMs } from "../../src/backend/connections.ts";
import type { Clock } from "../../src/base/clock.ts";
import { createMemoryBusNetwork } from "../../src/backend/bus/memory_bus.ts";
import { createMemoryMetaStore } from "../../src/backend/stores/memory.ts";
import { eventually } from "../harness/eventually.ts";
import { createFakeClock } from "../harness/fake_clock.ts";
import { seededRandom } from "../random.ts";
import { makeFaulty } from "./support/faulty_bus.ts";
import { RawSocket } from "./support/raw_client.ts";
import { startTestBackend } from "./support/test_backend.ts";

/** A clock that knows how many timers are set. */
function createCountingClock() {
  const fake = createFakeClock();
  const set = new Set<object>();
  const clock: Clock = {
    now: fake.now,
    after: (ms, callback) => {
      const timer = {};
      set.add(timer);
      const cancel = fake.after(ms, () => {
        set.delete(timer);
        callback();
      });
      return () => {
        set.delete(timer);
        cancel();
      };
    },
  };
  return { clock, advance: fake.advance, timers: () => set.size };
}

/** A connection that counts how often it was looked at. */
class Watched {
  looks = 0;
  onLook = (): void => {};

  look(): void {
    this.looks++;
    this.onLook();
  }
}

test("each is looked at once a second, whenever it came, and not all at once", () => {
  const { clock, advance } = createCountingClock();
  const connections = new Connections<Watched>(clock);
  const all = Array.from({ length: 95 }, () => new Watched());
  for (const it of all) connections.add(it);
  assertEquals([...connections].length, 95);
  const looks: number[] = [];
  for (let step = 0; step < 10; step++) {
    const before = sum(all);
    advance(roundMs / 10);
    looks.push(sum(all) - before);
  }
  assertEquals(looks, [10, 10, 10, 10, 10, 9, 9, 9, 9, 9]);
  advance(5 * roundMs);
  assertEquals(new Set(all.map((it) => it.looks)), new Set([6]));
});

test("one that goes is looked at no more, also when it goes while it is looked at", () => {
  const { clock, advance, timers } = createCountingClock();
  const connections = new Connections<Watched>(clock);
  const [stays, goes] = [new Watched(), new Watched()];
  for (const it of [stays, goes]) connections.add(it);
  goes.onLook = () => connections.delete(goes);
  advance(3 * roundMs);
  connections.delete(goes);
  assertEquals([stays.looks, goes.looks, connections.size, timers()], [3, 1, 1, 1]);
});

test("after any number of connections, none is left, and no timer", () => {
  const { clock, advance, timers } = createCountingClock();
  const connections = new Connections<Watched>(clock);
  for (let wave = 0; wave < 20; wave++) {
    const all = Array.from({ length: 1_000 }, () => new Watched());
    for (const it of all) connections.add(it);
    advance(100 * wave);
    for (const it of all) connections.delete(it);
    assertEquals([connections.size, [...connections].length, timers()], [0, 0, 0]);
  }
});

test("a server whose sockets are gone, however they went, has no timer left of them", async () => {
  const { clock, advance, timers } = createCountingClock();
  await using server = await startTestBackend({ clock });
  const before = timers();
  const token = await server.token();
  for (let wave = 0; wave < 3; wave++) {
    const sockets = await Promise.all(
      Array.from({ length: 20 }, () => RawSocket.greet(server.url, token)),
    );
    await Promise.all(sockets.map((it) => it.call("watch", { ledger: "acme/todos" })));
    assert(timers() > before);
    const silent = await RawSocket.open(server.url);
    const [forged, ...rest] = sockets;
    forged?.ask("auth", { token: "forged" });
    advance(6_000);
    await Promise.all([silent.closed, forged?.closed, ...rest.map((it) => it.close())]);
    // The server hears of the last close a little later than its peer.
    await eventually(() => assertEquals(timers(), before), { everyMs: 5 });
  }
});

test("a server follows no ledger any more whose watchers are gone", async () => {
  const metaStore = createMemoryMetaStore();
  let followed: readonly string[] = [];
  metaStore.boundsOf = (ledgers) => {
    followed = ledgers;
    return Promise.resolve(new Map());
  };
  await using bus = makeFaulty(createMemoryBusNetwork().join(), seededRandom(1));
  await using server = await startTestBackend({ metaStore, bus });
  const ledgers = Array.from({ length: 50 }, (_, at) => `acme/${at}`);
  const token = await server.token("read", [...ledgers, "acme/last"]);
  for (const [at, ledger] of ledgers.entries()) {
    const socket = await RawSocket.greet(server.url, token);
    for (const it of new Set([ledger, "acme/0", "acme/1"])) {
      await socket.call("watch", { ledger: it });
    }
    await socket.call("watch", { ledger });
    if (at % 2 === 0) await socket.call("unwatch", { ledger });
    await socket.close();
  }
  const last = await RawSocket.greet(server.url, token);
  await last.call("watch", { ledger: "acme/last" });
  // Whom the server serves shows when it may have missed something: it looks at their ledgers.
  await eventually(() => {
    bus.gap();
    assertEquals(followed, ["acme/last"]);
  }, { everyMs: 5 });
  await last.close();
});

function sum(all: readonly Watched[]): number {
  return all.reduce((sum, { looks }) => sum + looks, 0);
}
