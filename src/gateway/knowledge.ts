/** What an attachment knows of the server: heads and what they cover, blobs and keys that are there. */

import type { AnyLink } from "@fireproof/core-types-blockstore";
import type { BlobRef } from "../protocol/model.ts";

/** Most CIDs remembered as stored; beyond it all are forgotten, which costs one `missing` call. */
const maxStored = 20_000;

/** A head of the ledger that this device has merged. */
export interface KnownHead {
  /** The cars that the meta names. */
  readonly cars: readonly string[];
  /** The events that the database's state consists of after it. */
  readonly events: readonly AnyLink[];
}

/**
 * Knowledge holds for one epoch of the server: when that ends, what was stored may be gone.
 * Forgetting any of it is always safe, and costs a question or an upload.
 */
export class Knowledge {
  readonly heads: Map<string, KnownHead> = new Map();
  readonly #stored = new Set<string>();
  readonly #keys = new Set<string>();
  #epoch: string | undefined;

  /** Starts anew when the server's history is another one. */
  enterEpoch(epoch: string | undefined): void {
    if (epoch === this.#epoch) return;
    this.#epoch = epoch;
    this.heads.clear();
    this.#stored.clear();
    this.#keys.clear();
  }

  isStored(ref: BlobRef): boolean {
    return this.#stored.has(nameOf(ref));
  }

  addStored(refs: Iterable<BlobRef>): void {
    for (const ref of refs) {
      if (this.#stored.size >= maxStored) this.#stored.clear();
      this.#stored.add(nameOf(ref));
    }
  }

  forgetStored(refs: Iterable<BlobRef>): void {
    for (const ref of refs) this.#stored.delete(nameOf(ref));
  }

  /** Those of the keys that the server is not known to have. */
  newKeys(keys: readonly string[]): string[] {
    return keys.filter((key) => !this.#keys.has(key));
  }

  addKeys(keys: readonly string[]): void {
    for (const key of keys) this.#keys.add(key);
  }

  /** The events that the ledger's state consists of, as far as it is merged. */
  get events(): AnyLink[] {
    return [...this.heads.values()].flatMap((head) => head.events);
  }

  /** The heads whose cars are all covered: they may leave once a meta that covers them is kept. */
  coveredBy(covered: ReadonlySet<string>): string[] {
    return [...this.heads].filter(([, head]) => head.cars.every((car) => covered.has(car)))
      .map(([cid]) => cid);
  }
}

function nameOf({ store, cid }: BlobRef): string {
  return `${store}/${cid}`;
}
