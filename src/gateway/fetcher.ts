/** Brings cars of a ledger into the database: each fetched once, checked, and kept on the device. */

import type { ActiveStore, AnyLink, Loadable } from "@fireproof/core-types-blockstore";
import { CID } from "multiformats/cid";
import type { Client } from "../client/client.ts";
import { HearthError } from "../protocol/errors.ts";
import type { BlobAnswer } from "../protocol/model.ts";
import { carsOf, compactedCarsOf, loadIfStored, toCarRef, verifyBytes } from "./cars.ts";
import { loadCar } from "./loading.ts";
import { searchSteps } from "./search_steps.ts";
import { toHearthError } from "./values.ts";

/** Most loaded cars remembered; beyond it all are forgotten, and some may be fetched again. */
const maxLoaded = 20_000;

/** What the fetcher needs. */
export interface FetcherDeps {
  readonly ledger: string;
  readonly loader: Loadable;
  readonly client: Client;
  readonly signal: AbortSignal;
}

/** Fetches cars for one attachment. */
export class Fetcher {
  readonly #deps: FetcherDeps;
  readonly #store: ActiveStore;
  /** Cars handed to the database, which may not have merged them yet. */
  readonly #loaded = new Set<string>();
  /** Cars whose content the database has in others, since it compacted them; some are still here. */
  #compacted: ReadonlySet<string> = new Set();
  /** Checked bytes on their way into the database, by CID; emptied as it loads them. */
  readonly #arrived = new Map<string, Uint8Array>();

  /** @param store the remote store, whose cars come from {@linkcode Fetcher.read} */
  constructor(deps: FetcherDeps, store: ActiveStore) {
    this.#deps = deps;
    this.#store = store;
  }

  /**
   * The bytes of a car for Fireproof's loader: normally those that were fetched and checked ahead,
   * else the device's own, else the server's.
   *
   * @throws {HearthError} `NOT_FOUND` when the ledger does not hold it
   */
  async read(cid: string): Promise<Uint8Array> {
    const ahead = this.#arrived.get(cid);
    if (ahead) return ahead;
    const { client, ledger, loader, signal } = this.#deps;
    const link = CID.parse(cid);
    const local = loader.attachedStores.local().active.car;
    let found = await loadIfStored(local.load.bind(local), link);
    if (found) return found;
    await client.getBlobs(ledger, [toCarRef(cid)], async ({ bytes }) => {
      await verifyBytes(link, bytes, this.#store.active.car);
      found = bytes;
    }, { signal });
    if (found) return found;
    throw this.#notFound(cid);
  }

  /** Notes which cars' content the database has in others; returns these. */
  async noteCompacted(): Promise<readonly string[]> {
    this.#compacted = await compactedCarsOf(this.#deps.loader);
    return [...this.#compacted];
  }

  /** Whether the database has the content of a car in another one, as far as was noted. */
  hasElsewhere(cid: string): boolean {
    return this.#compacted.has(cid);
  }

  /**
   * Loads cars that the database lacks, all or none.
   *
   * @throws {HearthError} `NOT_FOUND` when the ledger does not hold one; what else loading fails with
   */
  async loadAll(cars: readonly AnyLink[]): Promise<void> {
    const failed = await this.load(cars.map((car) => `${car}`));
    for (const reason of failed.values()) throw reason;
  }

  /**
   * Loads cars that the database lacks, in one question to the server, each as soon as it is here:
   * no more than what is in flight stays in memory. Returns those that failed, with the reason.
   */
  async load(
    cids: readonly string[],
    inline: readonly BlobAnswer[] = [],
  ): Promise<Map<string, HearthError>> {
    const { client, ledger, loader, signal } = this.#deps;
    const here = carsOf(loader);
    const lacking = new Set(cids.filter((cid) => !here.has(cid) && !this.#loaded.has(cid)));
    const failed = new Map<string, HearthError>();
    const take = async (cid: string, bytes: Uint8Array) => {
      try {
        await this.#hand(cid, bytes);
      } catch (cause) {
        failed.set(cid, toHearthError(cause, `Cannot load car ${cid}`));
      }
      lacking.delete(cid);
    };
    for (const { cid, bytes } of inline) if (bytes && lacking.has(cid)) await take(cid, bytes);
    for (const cid of lacking) {
      if (this.#compacted.has(cid) && await this.#loadLocally(cid)) lacking.delete(cid);
    }
    if (lacking.size > 0) {
      const refs = [...lacking].map(toCarRef);
      try {
        await client.getBlobs(ledger, refs, ({ cid, bytes }) => take(cid, bytes), { signal });
      } catch (cause) {
        if (signal.aborted) throw cause;
        for (const cid of lacking) failed.set(cid, toHearthError(cause, `Cannot load car ${cid}`));
        return failed;
      }
    }
    for (const cid of lacking) failed.set(cid, this.#notFound(cid));
    return failed;
  }

  /**
   * Loads what else the ledger holds, also cars that nothing names any more, newest first and within
   * the bounds of a search; yields whenever some have come.
   */
  async *loadRest(): AsyncGenerator<void> {
    const { client, ledger, loader, signal } = this.#deps;
    const here = carsOf(loader);
    const pages = client.listBlobs(ledger, "car", { signal });
    for await (const cids of searchSteps(pages, (cid) => here.has(cid) || this.#loaded.has(cid))) {
      // One that cannot be loaded counts when nothing else has helped.
      await this.load(cids);
      yield;
    }
  }

  /** Checks a car and lets the database load it, which keeps it in the local store. */
  async #hand(cid: string, bytes: Uint8Array): Promise<void> {
    const link = CID.parse(cid);
    await verifyBytes(link, bytes, this.#store.active.car);
    this.#deps.signal.throwIfAborted();
    this.#arrived.set(cid, bytes);
    try {
      await loadCar(this.#deps.loader, link, this.#store);
    } finally {
      this.#arrived.delete(cid);
    }
    if (this.#loaded.size >= maxLoaded) this.#loaded.clear();
    this.#loaded.add(cid);
  }

  /** Loads a car that the device may still have; Fireproof removes what it compacted one turn later. */
  async #loadLocally(cid: string): Promise<boolean> {
    const { loader } = this.#deps;
    try {
      await loadCar(loader, CID.parse(cid), loader.attachedStores.local());
      return true;
    } catch {
      // Gone or unreadable: the server has it.
      return false;
    }
  }

  #notFound(cid: string): HearthError {
    const { ledger } = this.#deps;
    return new HearthError("NOT_FOUND", `Cannot load car ${cid}: "${ledger}" does not hold it`);
  }
}
