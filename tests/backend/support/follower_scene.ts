/** A follower on a database that counts its calls, and listeners that note what they are told. */

import { createCommitter } from "../../../src/backend/committer.ts";
import { Follower, type FollowerDeps } from "../../../src/backend/bus/follower.ts";
import { createMemoryBusNetwork } from "../../../src/backend/bus/memory_bus.ts";
import { Hub, type Listener, type LiveChange } from "../../../src/backend/hub.ts";
import { publishTogether } from "../../../src/backend/publisher.ts";
import { createMemoryMetaStore } from "../../../src/backend/stores/memory.ts";
import type { MetaStore } from "../../../src/backend/stores/meta_store.ts";
import { decodeFrames } from "../../../src/protocol/frames.ts";
import { parseNotice } from "../../../src/protocol/parse.ts";
import { ledger, putOf } from "../../conformance/fixtures.ts";
import { createFakeClock } from "../../harness/fake_clock.ts";

/** A listener that takes everything it can. */
export interface Heard extends Listener {
  position: number | undefined;
  readonly changes: LiveChange[];
  /** Keys of all changes. */
  readonly keys: readonly string[];
  readonly moves: number[];
}

/** Listens. @param position how far it has been told; nothing when it can take nothing */
export function hear(hub: Hub, name: string, position: number | undefined): Heard {
  const heard: Heard = {
    position,
    changes: [],
    get keys() {
      return heard.changes.flatMap(({ frame }) =>
        decodeFrames(frame).flatMap((it) =>
          it.kind === "notification" ? parseNotice("metas", it.params).keys : []
        )
      );
    },
    moves: [],
    onChange(change) {
      heard.changes.push(change);
      if (heard.position !== undefined) heard.position = change.seq;
    },
    onMoved: (seq) => void heard.moves.push(seq),
    onTold: () => {},
  };
  hub.listen(name, heard);
  return heard;
}

interface Call {
  readonly method: string;
  readonly ledger: unknown;
}

/** A follower on a database that counts its calls, and can hold them or fail; and a committer there. */
export function setUp(options: Partial<FollowerDeps> = {}) {
  const metaStore = createMemoryMetaStore();
  const calls: Call[] = [];
  /** Calls wait at its door, and their answers at its back. */
  const gate = {
    wait: Promise.resolve(),
    answer: Promise.resolve(),
    fails: false,
    inside: 0,
    most: 0,
  };
  const watched = <Args extends readonly unknown[], T>(
    method: string,
    read: (...args: Args) => Promise<T>,
  ) =>
  async (...args: Args): Promise<T> => {
    calls.push({ method, ledger: args[0] });
    gate.most = Math.max(gate.most, ++gate.inside);
    await gate.wait;
    gate.inside--;
    if (gate.fails) throw new Error("the database is away");
    const found = await read(...args);
    await gate.answer;
    return found;
  };
  for (const method of ["log", "heads", "bounds", "boundsOf"] as const) {
    // The compiler does not see that one method is put in its own place.
    const read = metaStore[method].bind(metaStore) as (
      ...args: readonly unknown[]
    ) => Promise<never>;
    metaStore[method] = watched(method, read);
  }
  const hub = new Hub(metaStore.epoch);
  const clock = createFakeClock();
  const follower = new Follower({ hub, store: metaStore, clock, random: () => 0, ...options });
  const bus = createMemoryBusNetwork().join();
  const publisher = publishTogether(hub, bus, follower);
  const committer = createCommitter({
    store: metaStore,
    onCommitted: (commit, done) => publisher.committed(commit, done),
  });
  return { metaStore, hub, clock, follower, committer, calls, gate };
}

/** Commits so many metas, as another instance does. */
export async function put(store: MetaStore, count: number, name = ledger): Promise<void> {
  for (let at = 0; at < count; at++) {
    const { seq: head } = await store.heads(name);
    await store.commit([putOf(`${name} ${head}`, { ledger: name })]);
  }
}

/** A follower, of a ledger of so many metas, and a listener there; what was called is forgotten. */
export async function setUpHeard(count: number, position: number | undefined) {
  const scene = setUp();
  await put(scene.metaStore, count);
  const heard = hear(scene.hub, ledger, position);
  scene.calls.length = 0;
  return { ...scene, heard };
}
