/**
 * Loads cars through Fireproof's loader, which remembers how the first attempt ended, also badly,
 * for as long as it runs: here a failure is an error, and is forgotten.
 */

import type { Result } from "@adviser/cement";
import {
  type ActiveStore,
  type AnyLink,
  type FPBlock,
  isCarBlockItemReady,
  isCarBlockItemStale,
  type Loadable,
  type ReadyCarBlockItem,
} from "@fireproof/core-types-blockstore";
import { HearthError } from "../protocol/errors.ts";
import { isRecord } from "./values.ts";

/**
 * Loads a car that `store` has.
 *
 * @throws {HearthError} `NOT_FOUND` when it does not; whatever the store fails with
 */
export async function loadCar(
  loader: Loadable,
  cid: AnyLink,
  store: ActiveStore,
): Promise<FPBlock<ReadyCarBlockItem>> {
  try {
    const loaded = await loader.loadCar(cid, store);
    if (isCarBlockItemReady(loaded)) return loaded;
    throw new HearthError("NOT_FOUND", `Cannot load car ${cid}: it is not in the store`);
  } catch (error) {
    forgetLoading(loader, cid);
    throw error;
  }
}

/** Makes the next attempt to load a car or file a real one. */
export function forgetLoading(loader: Loadable, cid: AnyLink): void {
  memoryOf(loader)?.unget(`${cid}`);
}

/**
 * Forgets what an attach must not find: cars that could not be loaded, since what was missing then may
 * be here now, and blocks of files, which have no `item`: Fireproof looks for it in everything it
 * remembers, and so a database that has read a file could not be attached.
 */
export function forgetBeforeAttach(loader: Loadable): void {
  const memory = memoryOf(loader);
  for (const { key, value } of memory?.values() ?? []) {
    const block = value.isErr() ? undefined : value.Ok();
    if (!isRecord(block) || !Object.hasOwn(block, "item") || isCarBlockItemStale(block)) {
      memory?.unget(key);
    }
  }
}

/** How loading ended, by CID. */
interface LoadingMemory {
  values(): readonly { readonly key: string; readonly value: Result<unknown> }[];
  unget(cid: string): void;
}

function memoryOf(loader: Loadable): LoadingMemory | undefined {
  // `cidCache` is public on Fireproof's Loader and missing from the interface it exports.
  return (loader as Loadable & { readonly cidCache?: LoadingMemory }).cidCache;
}
