/**
 * Makes Fireproof's compaction whole. Version 0.24 gathers the blocks reachable at its start, and
 * declares compacted every car there is at its end: what was written in between is in no car that a
 * reader, or the same device after a restart, would ever load again.
 */

import { type AnyLink, isCarBlockItemReady, type Loadable } from "@fireproof/core-types-blockstore";
import { exclusively } from "./exclusive.ts";

type Transaction = Parameters<Loadable["commit"]>[0];

/** Told which cars the database does not need any more, by CID. */
type Listener = (compacted: readonly string[]) => void;

/** Databases whose compaction is mended, and who wants to hear of it. */
const mended = new WeakMap<Loadable, Set<Listener>>();

/**
 * Lets every later compaction of this database carry what was written while it ran, and tells of
 * it until the signal ends that.
 */
export function mendCompaction(loader: Loadable, listener: Listener, signal: AbortSignal): void {
  const listeners = mended.get(loader) ?? mend(loader);
  listeners.add(listener);
  signal.addEventListener("abort", () => listeners.delete(listener), { once: true });
}

function mend(loader: Loadable): Set<Listener> {
  const listeners = new Set<Listener>();
  mended.set(loader, listeners);
  const blockstore = loader.blockstoreParent?.crdtParent?.blockstore;
  if (!blockstore) return listeners;
  const compact = blockstore.compact.bind(blockstore);
  const commit = loader.commit.bind(loader);
  let running: Promise<void> | undefined;
  let atStart: ReadonlySet<string> = new Set();

  blockstore.compact = () => {
    running ??= (async () => {
      atStart = new Set(loader.carLog.asArray().flat().map(String));
      try {
        await compact();
      } finally {
        running = undefined;
        // A compaction that began before this was in place left no list: all its cars are new.
        atStart = new Set();
      }
    })();
    return running;
  };

  loader.commit = (transaction, done, options) => {
    if (!options.compact) return commit(transaction, done, options);
    let compacted: readonly AnyLink[] = [];
    onFirstRead(transaction, async () => {
      compacted = loader.carLog.asArray().flat();
      await addBlocks(loader, transaction, compacted.filter((car) => !atStart.has(`${car}`)));
    });
    // No remote commit is merged meanwhile: its cars would be declared compacted too.
    return exclusively(loader, async () => {
      const cars = await commit(transaction, done, options);
      for (const tell of listeners) tell(compacted.map(String));
      return cars;
    });
  };
  return listeners;
}

/** Runs `prepare` when the commit reads the transaction: from then on no other can come between. */
function onFirstRead(transaction: Transaction, prepare: () => Promise<void>): void {
  const entries = transaction.entries.bind(transaction);
  transaction.entries = async function* () {
    transaction.entries = entries;
    await prepare();
    yield* entries();
  };
}

async function addBlocks(
  loader: Loadable,
  transaction: Transaction,
  cars: readonly AnyLink[],
): Promise<void> {
  for (const car of cars) {
    const loaded = await loader.loadCar(car, loader.attachedStores.local());
    if (!isCarBlockItemReady(loaded)) {
      throw new Error(`Cannot compact: car ${car} is not on this device`);
    }
    const { roots: [header], blocks } = loaded.item.value.car;
    // A commit's header belongs to that commit: the compaction has its own.
    for (const block of blocks) if (!header?.equals(block.cid)) transaction.putSync(block);
  }
}
