/**
 * Makes Fireproof's compaction whole. Version 0.24 gathers the blocks that the clock's head reaches,
 * and declares compacted every car there is at its end: also one whose blocks the head did not reach
 * yet, because it was written or merged meanwhile. Those are in no car that a reader, or the same
 * device after a restart, would ever load again.
 */

import type { Loadable } from "@fireproof/core-types-blockstore";
import { Turns } from "./turns.ts";

/** Told which cars the database does not need any more, by CID. */
type Listener = (compacted: readonly string[]) => void;

interface Mended {
  readonly turns: Turns;
  readonly listeners: Set<Listener>;
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

/** Runs a merge, from its first car to the clock's new head, without a compaction in between. */
export function betweenCompactions<T>(loader: Loadable, merge: () => Promise<T>): Promise<T> {
  return mend(loader).turns.together(merge);
}

/** Runs work between writes and merges: while it runs there are none, and no compaction. */
export function betweenWrites(loader: Loadable, work: () => Promise<void>): Promise<void> {
  return mend(loader).turns.alone(work);
}

function mend(loader: Loadable): Mended {
  const known = mended.get(loader);
  if (known) return known;
  const turns = new Turns();
  const listeners = new Set<Listener>();
  mended.set(loader, { turns, listeners });
  const crdt = loader.blockstoreParent?.crdtParent;
  if (!crdt) return { turns, listeners };
  const { blockstore } = crdt;
  const compact = blockstore.compact.bind(blockstore);
  const bulk = crdt.bulk.bind(crdt);
  let compaction: Promise<void> | undefined;

  // Every commit beyond Fireproof's limit asks for a compaction: one that waits is enough.
  blockstore.compact = () =>
    compaction ??= turns.alone(async () => {
      const before = loader.carLog.asArray().flat().map(String);
      await compact();
      const after = new Set(loader.carLog.asArray().flat().map(String));
      const compacted = before.filter((car) => !after.has(car));
      for (const tell of listeners) tell(compacted);
    }).finally(() => compaction = undefined);
  // A write ends when the clock's head has advanced, which is after its commit.
  crdt.bulk = (updates) => turns.together(() => bulk(updates));
  return { turns, listeners };
}
