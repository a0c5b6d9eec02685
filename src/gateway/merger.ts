/**
 * Merges remote commits into the database, whose own merge fails without a word when a block is
 * missing, and never tries a second time.
 */

import type { ActiveStore, AnyLink, DbMetaEvent, Loadable } from "@fireproof/core-types-blockstore";
import { HearthError } from "../protocol/errors.ts";
import type { BlobRef, Meta } from "../protocol/model.ts";
import { openCar, type OpenedCar } from "./cars.ts";
import { announceFirst, hasMerged, headOf } from "./clock.ts";
import { betweenWrites } from "./compaction.ts";
import { carsOf, type Fetcher } from "./fetcher.ts";
import type { Knowledge } from "./knowledge.ts";
import { toEvent } from "./metas.ts";

/** What the merger needs. */
export interface MergerDeps {
  readonly loader: Loadable;
  readonly knowledge: Knowledge;
  readonly fetcher: Fetcher;
  /** The remote store. */
  readonly store: ActiveStore;
  /** The database's head has become another one by a merge. */
  readonly onMerged: (before: readonly string[], after: readonly string[]) => void;
}

/** A remote commit whose cars are here. */
interface RemoteCommit {
  readonly event: DbMetaEvent;
  readonly opened: OpenedCar;
}

/** Merges the commits of one ledger. */
export class Merger {
  readonly #deps: MergerDeps;

  constructor(deps: MergerDeps) {
    this.#deps = deps;
  }

  /**
   * Merges a commit whose blocks are in the cars that it names and those of the heads merged before;
   * nothing when some block is not.
   *
   * @throws {HearthError} `NOT_FOUND` when a car is missing; `BAD_PARAMS` when the meta is none
   */
  async merge(meta: Meta): Promise<DbMetaEvent | undefined> {
    const commit = await this.#open(meta);
    return await this.#apply(commit) ? undefined : commit.event;
  }

  /**
   * Merges a commit that is based on states that a compaction left out: it declares cars superfluous
   * that hold what a merge with another device's commits is computed from.
   *
   * @throws {HearthError} `NOT_FOUND` when they are not on the server either
   */
  async mergeFromBehind(meta: Meta): Promise<DbMetaEvent> {
    const { loader, fetcher } = this.#deps;
    const commit = await this.#open(meta);
    const { event, opened } = commit;
    let failure = await this.#apply(commit);
    const seen = new Set<string>();
    let level = [...event.dbMeta.cars, ...opened.needs, ...loader.carLog.asArray().flat()];
    while (failure && level.length > 0) {
      const compacted = await this.#compactedBy(level, seen);
      const failed = await fetcher.load(compacted.map((car) => `${car}`));
      level = compacted.filter((car) => !failed.has(`${car}`));
      failure = await this.#apply(commit);
    }
    if (failure) throw failure;
    return event;
  }

  async #open(meta: Meta): Promise<RemoteCommit> {
    const { loader, knowledge, fetcher, store } = this.#deps;
    const event = await toEvent(loader.sthis, meta);
    const { cars } = event.dbMeta;
    const [head] = cars;
    if (!head) throw new HearthError("BAD_PARAMS", `Cannot use meta ${meta.cid}: it names no car`);
    // Every car of a commit beyond 1 MB: the database itself would load the first alone.
    await fetcher.loadAll(cars);
    const isOwn = carsOf(loader).has(`${head}`);
    const opened = await openCar(loader, head, isOwn ? loader.attachedStores.local() : store);
    await fetcher.loadAll(opened.needs);
    knowledge.heads.set(meta.cid, { cars: cars.map((car) => `${car}`), events: opened.head });
    knowledge.addStored(opened.needs.map((car): BlobRef => ({ store: "car", cid: `${car}` })));
    return { event, opened };
  }

  /** Merges between the app's writes; returns why the commit did not become part of the history. */
  #apply({ event, opened }: RemoteCommit): Promise<HearthError | undefined> {
    const { loader, store, onMerged } = this.#deps;
    return betweenWrites(loader, async () => {
      const before = headOf(loader).map(String);
      let reason: unknown;
      try {
        await loader.handleDbMetasFromStore([event.dbMeta], store);
        // Fireproof tries each meta once.
        if (!await hasMerged(loader, opened.head)) await loader.ebOpts.applyMeta(opened.meta);
      } catch (error) {
        reason = error;
      }
      if (!await hasMerged(loader, opened.head)) {
        const message = `Cannot merge meta ${event.eventCid}: blocks of its history are missing`;
        return new HearthError("NOT_FOUND", message, { cause: reason });
      }
      const after = headOf(loader).map(String);
      if (`${after}` === `${before}`) return undefined;
      onMerged(before, after);
      if (before.length === 0) await announceFirst(loader);
      return undefined;
    });
  }

  /** The cars whose content is in these, without those seen already. */
  async #compactedBy(cars: readonly AnyLink[], seen: Set<string>): Promise<AnyLink[]> {
    const { loader, store } = this.#deps;
    const opened = await Promise.all(cars.map((car) => openCar(loader, car, store)));
    const compacted = new Map(
      opened.flatMap(({ compacts }) => compacts).map((car) => [`${car}`, car]),
    );
    for (const cid of seen) compacted.delete(cid);
    for (const cid of compacted.keys()) seen.add(cid);
    return [...compacted.values()];
  }
}
