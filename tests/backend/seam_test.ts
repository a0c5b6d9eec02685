/** The seam between what is read and what is pushed: thousands of watches at random cursors while writers run. */

import { test } from "node:test";
import { assert, assertEquals } from "#assert";
import { parseCursor } from "../../src/protocol/cursor.ts";
import type { Frame } from "../../src/protocol/frames.ts";
import type { Changes } from "../../src/protocol/model.ts";
import { parseNotice, parseResult } from "../../src/protocol/parse.ts";
import { createMemoryBusNetwork } from "../../src/backend/bus/memory_bus.ts";
import { createMemoryMetaStore } from "../../src/backend/stores/memory.ts";
import type { MetaStore } from "../../src/backend/stores/meta_store.ts";
import { type Random, seededRandom, testSeed } from "../random.ts";
import { makeMeta } from "./support/made.ts";
import { RawSocket } from "./support/raw_client.ts";
import { startTestBackend, type TestBackend } from "./support/test_backend.ts";

const ledgers = ["acme/a", "acme/b", "acme/c"];
const watchers = 20;
const watchesEach = 100;
const writers = 4;
/** Most metas that a watch lies behind: some pages. */
const maxBehind = 1200;
/** Half of the watches begin at a multiple of it, so that some share what they read. */
const commonStep = 200;

const bounded = { timeout: 300_000 };

test("every watch gets every meta behind its cursor, in order, once", bounded, async () => {
  const random = seededRandom(testSeed());
  await using server = await startTestBackend({ metaStore: makeSlowStore(random), log: undefined });
  await watchAtRandom([server], random);
});

test("the same with two instances on one database", bounded, async () => {
  const random = seededRandom(testSeed());
  const metaStore = makeSlowStore(random);
  const network = createMemoryBusNetwork();
  await using bus = network.join();
  await using otherBus = network.join();
  await using server = await startTestBackend({ metaStore, bus, log: undefined });
  await using other = await startTestBackend({ metaStore, bus: otherBus, log: undefined });
  await watchAtRandom([server, other], random);
});

async function watchAtRandom(servers: readonly TestBackend[], random: Random): Promise<void> {
  const epoch = servers[0]?.deps.metaStore.epoch;
  const heads = new Map(ledgers.map((it) => [it, 0]));
  let writing = true;

  const greet = async (): Promise<RawSocket> => {
    const server = random.pick(servers);
    return await RawSocket.greet(server.url, await server.token("write", ledgers));
  };

  const write = async (name: number): Promise<void> => {
    const socket = await greet();
    for (let at = 0; writing; at++) {
      const ledger = random.pick(ledgers);
      const count = 1 + random.below(3);
      const metas = Array.from({ length: count }, (_, it) => makeMeta(`${name} ${at} ${it}`));
      const { cursor } = await socket.call("commit", { ledger, metas });
      const seq = parseCursor(cursor)?.seq ?? 0;
      heads.set(ledger, Math.max(heads.get(ledger) ?? 0, seq));
    }
    await socket.close();
  };

  const cursorBelow = (head: number): number => {
    const from = random.below(Math.min(head, maxBehind) + 1) + Math.max(0, head - maxBehind);
    return random.below(2) === 0 ? from : from - from % commonStep;
  };

  const watch = async (): Promise<number> => {
    const socket = await greet();
    let checked = 0;
    for (let at = 0; at < watchesEach; at++) {
      const ledger = random.pick(ledgers);
      const head = heads.get(ledger) ?? 0;
      let position = cursorBelow(head);
      let next = socket.frames.length;
      const id = socket.ask("watch", { ledger, cursor: `${epoch}.${position}` });
      // Far enough that the live part has begun.
      const goal = head + 20;
      await socket.until(() => {
        for (; next < socket.frames.length; next++) {
          const stretch = toStretch(socket.frames[next], ledger, id);
          if (!stretch) continue;
          assertEquals([stretch.after, stretch.to - stretch.count], [position, position]);
          position = stretch.to;
          checked++;
        }
        return position >= goal;
      });
      await socket.call("unwatch", { ledger });
    }
    await socket.close();
    return checked;
  };

  const written = Array.from({ length: writers }, (_, name) => write(name));
  const checked = await Promise.all(Array.from({ length: watchers }, watch));
  writing = false;
  await Promise.all(written);
  const total = checked.reduce((sum, it) => sum + it, 0);
  assert(total > watchers * watchesEach, `${total} stretches`);
  console.log(
    `${watchers * watchesEach} watches, ${total} stretches, heads ${[...heads.values()]}`,
  );
}

/** A store that is at times slow to read, so that commits come before, while and after it is read. */
function makeSlowStore(random: Random): MetaStore {
  const store = createMemoryMetaStore();
  const mayWait = async (): Promise<void> => {
    if (random.below(2) === 0) await new Promise((resolve) => setTimeout(resolve, random.below(5)));
  };
  const log = store.log.bind(store);
  store.log = async (...args) => {
    await mayWait();
    const page = await log(...args);
    await mayWait();
    return page;
  };
  return store;
}

/** The answer to a watch, or a notice of its ledger: what it follows, where it ends, what it brings. */
function toStretch(frame: Frame | undefined, ledger: string, id: number) {
  const changes = toChanges(frame, ledger, id);
  if (!changes) return undefined;
  assertEquals(changes.reset, false);
  return {
    after: parseCursor(changes.after ?? "")?.seq,
    to: parseCursor(changes.cursor)?.seq ?? 0,
    count: changes.metas.length,
  };
}

function toChanges(frame: Frame | undefined, ledger: string, id: number): Changes | undefined {
  if (frame?.kind === "reply" && frame.id === id) return parseResult("watch", frame.result);
  if (frame?.kind !== "notification" || frame.method !== "metas") return undefined;
  const notice = parseNotice("metas", frame.params);
  return notice.ledger === ledger ? notice : undefined;
}
