/** What a server writes to its stores. */

import type { BlobStore } from "../../../../src/backend/stores/blob_store.ts";
import {
  createMemoryBlobStore,
  createMemoryMetaStore,
} from "../../../../src/backend/stores/memory.ts";
import type { MetaStore } from "../../../../src/backend/stores/meta_store.ts";

/** Stores that count what is written to them. */
export function countWrites() {
  const writes: string[] = [];
  const counting = <T extends object>(store: T, names: readonly string[]): T =>
    new Proxy(store, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== "function") return value;
        return (...args: unknown[]) => {
          if (names.includes(String(name))) writes.push(String(name));
          return Reflect.apply(value, target, args);
        };
      },
    });
  return {
    writes,
    metaStore: counting<MetaStore>(createMemoryMetaStore(), [
      "commit",
      "hold",
      "unhold",
      "deleteMetas",
      "putWal",
      "deleteWal",
    ]),
    blobStore: counting<BlobStore>(createMemoryBlobStore(), ["put", "delete"]),
  };
}
