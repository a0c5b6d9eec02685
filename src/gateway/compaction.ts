/**
 * Makes Fireproof's compaction whole. Version 0.24 gathers the blocks that the clock's head reaches,
 * and declares compacted every car there is at its end: also one whose blocks the head did not reach
 * yet, because it was written or merged meanwhile. Those are in no car that a reader, or the same
 * device after a restart, would ever load again. And it removes cars of the device, also those of a
 * commit on its way to the server.
 */

import { Result } from "@adviser/cement";
import type { AnyLink, Loadable } from "@fireproof/core-types-blockstore";
import { carsOf } from "./cars.ts";
import { beginningsOf, headOf } from "./clock.ts";
import { Turns } from "./turns.ts";

/** Told which cars the database does not need any more, by CID. */
type Listener = (compacted: readonly string[]) => void;

interface Mended {
  readonly turns: Turns;
  readonly listeners: Set<Listener>;
  readonly removals: Removals;
}

/** Databases whose compaction is mended. */
const mended = new WeakMap<Loadable, Mended>();

/**
 * Lets this database compact only while nothing is written or merged, and tells of it until the
 * signal ends that.
 */
export function mendCompaction(loader: Loadable, listener: Listener, signal: AbortSignal): void {
  const { listeners } = mend(loader);
  listeners.add(listener);
  signal.addEventListener("abort", () => listeners.delete(listener), { once: true });
}

/**
 * Runs work between writes: while it runs there is none, nor a merge, nor a compaction. A write that
 * overlaps with a merge would not see it, and fork the history it is based on.
 */
export function betweenWrites<T>(loader: Loadable, work: () => Promise<T>): Promise<T> {
  return mend(loader).turns.alone(work);
}

/** Runs work that reads cars of the device: those that are compacted meanwhile stay until its end. */
export function keepingCars<T>(loader: Loadable, work: () => Promise<T>): Promise<T> {
  return mend(loader).removals.during(work);
}

/** Removes cars, when nobody reads any. */
class Removals {
  readonly #waiting = new Map<string, AnyLink>();
  readonly #remove: (car: AnyLink) => Promise<unknown>;
  #readers = 0;

  constructor(loader: Loadable) {
    const { car } = loader.attachedStores.local().active;
    this.#remove = car.remove.bind(car);
    car.remove = async (cid) => {
      this.#waiting.set(`${cid}`, cid);
      await this.#removeWaiting();
      return Result.Ok(undefined);
    };
  }

  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#readers++;
    try {
      return await work();
    } finally {
      this.#readers--;
      await this.#removeWaiting();
    }
  }

  async #removeWaiting(): Promise<void> {
    if (this.#readers > 0) return;
    const cars = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const car of cars) await this.#remove(car);
  }
}

function mend(loader: Loadable): Mended {
  const known = mended.get(loader);
  if (known) return known;
  const turns = new Turns();
  const listeners = new Set<Listener>();
  const made = { turns, listeners, removals: new Removals(loader) };
  mended.set(loader, made);
  const crdt = loader.blockstoreParent?.crdtParent;
  if (!crdt) return made;
  const { blockstore } = crdt;
  const compact = blockstore.compact.bind(blockstore);
  const bulk = crdt.bulk.bind(crdt);
  let compaction: Promise<void> | undefined;

  const compactOnce = () =>
    compaction ??= turns.alone(async () => {
      const before = carsOf(loader);
      await compact();
      const after = carsOf(loader);
      const compacted = [...before.keys()].filter((car) => !after.has(car));
      for (const tell of listeners) tell(compacted);
    }).finally(() => compaction = undefined);
  crdt.compact = compactOnce;
  // Every commit beyond Fireproof's limit asks for a compaction, also while one waits or runs.
  const limit = blockstore.ebOpts.autoCompact;
  blockstore.compact = async () => {
    if (loader.carLog.length > limit) await compactOnce();
  };
  const { compactStrategy } = blockstore.ebOpts;
  const whole: typeof compactStrategy = {
    ...compactStrategy,
    compact: async (fetcher) => {
      const result = await compactStrategy.compact(fetcher);
      // Each device makes the first state by itself, and may have compacted it before it sent any:
      // two of them merge from there, and so do their readers. What is read is kept.
      for (const root of await beginningsOf(fetcher, headOf(loader))) await fetcher.get(root);
      return result;
    },
  };
  Object.assign(blockstore.ebOpts, { compactStrategy: whole });
  // A write ends when the clock's head has advanced, which is after its commit.
  crdt.bulk = (updates) => turns.together(() => bulk(updates));
  return made;
}
