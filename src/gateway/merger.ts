/**
 * Merges remote commits into the database, whose own merge fails without a word when a block is
 * missing, and never tries a second time.
 */

import type { ActiveStore, AnyLink, DbMetaEvent, Loadable } from "@fireproof/core-types-blockstore";
import { HearthError } from "../protocol/errors.ts";
import type { Meta } from "../protocol/model.ts";
import { carsOf, openCar, type OpenedCar, toCarRef } from "./cars.ts";
import { announceFirst, hasMerged, headOf, isWithin } from "./clock.ts";
import { betweenWrites } from "./compaction.ts";
import type { Fetcher } from "./fetcher.ts";
import type { Knowledge } from "./knowledge.ts";
import { toEvent } from "./metas.ts";
import { observingReads } from "./reads.ts";

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

/** A merge that failed. */
interface Failure {
  readonly error: HearthError;
  /** The database's head then. */
  readonly head: string;
  /** Blocks that were read and not there. */
  readonly lacks: readonly AnyLink[];
}

/** Most failures remembered; beyond it all are forgotten, which costs a try each. */
const maxFailures = 1000;

/** Merges the commits of one ledger. */
export class Merger {
  readonly #deps: MergerDeps;
  /** By the meta's CID. */
  readonly #failures = new Map<string, Failure>();
  /** Metas for which the whole ledger was searched; what they lacked then can only come with others. */
  #searched: ReadonlySet<string> = new Set();

  constructor(deps: MergerDeps) {
    this.#deps = deps;
  }

  /**
   * Whether the database merged a commit earlier and has compacted it since. Fireproof would take its
   * cars for new ones, and load them all again.
   *
   * @throws {HearthError} as `merge`
   */
  async hasCompacted(meta: Meta): Promise<boolean> {
    const { loader, knowledge, fetcher } = this.#deps;
    // The cars of a commit are among the blobs that its meta names.
    if (!meta.blobs.some(({ cid }) => fetcher.hasElsewhere(cid))) return false;
    const { cars } = (await toEvent(loader.sthis, meta)).dbMeta;
    const [head] = cars;
    if (!head || !cars.every((car) => fetcher.hasElsewhere(`${car}`))) return false;
    await fetcher.loadAll([head]);
    const opened = await openCar(loader, head, this.#deps.store);
    if (await isWithin(loader, opened.head, headOf(loader)) !== true) return false;
    knowledge.heads.set(meta.cid, { cars: cars.map(String), events: opened.head });
    return true;
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
   * that hold what a merge with another device's commits is computed from. Nothing when some block is
   * not in these either.
   *
   * @throws {HearthError} as `merge`
   */
  async mergeFromBehind(meta: Meta): Promise<DbMetaEvent | undefined> {
    const { loader, fetcher } = this.#deps;
    const commit = await this.#open(meta);
    const { event, opened } = commit;
    const seen = new Set<string>();
    let level = [...event.dbMeta.cars, ...opened.needs, ...carsOf(loader).values()];
    while (await this.#apply(commit)) {
      if (level.length === 0) return undefined;
      const compacted = await this.#compactedBy(level, seen);
      const failed = await fetcher.load(compacted.map((car) => `${car}`));
      level = compacted.filter((car) => !failed.has(`${car}`));
    }
    return event;
  }

  /**
   * Merges commits to whose blocks no car leads: a device that compacted twice before it sent has
   * declared superfluous a car that it never sent, and with it those behind. Looks for them in all
   * that the ledger holds, once for the same commits.
   *
   * @returns what became of each, in the order given: its event, or why it is not merged
   * @throws {HearthError} as `merge`; what listing the ledger's cars fails with
   */
  async mergeFromAnywhere(metas: readonly Meta[]): Promise<readonly (DbMetaEvent | HearthError)[]> {
    const commits = await Promise.all(metas.map((meta) => this.#open(meta)));
    let failures = await this.#applyAll(commits);
    const cids = metas.map(({ cid }) => cid);
    const isLacking = cids.some((cid) => this.#failures.get(cid)?.lacks.length);
    if (isLacking && !cids.every((cid) => this.#searched.has(cid))) {
      for await (const _ of this.#deps.fetcher.loadRest()) {
        failures = await this.#applyAll(commits);
        if (failures.every((failure) => !failure)) break;
      }
      this.#searched = new Set(cids);
    }
    return commits.map(({ event }, at) => failures[at] ?? event);
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
    knowledge.addStored(opened.needs.map(toCarRef));
    return { event, opened };
  }

  async #applyAll(commits: readonly RemoteCommit[]): Promise<readonly (HearthError | undefined)[]> {
    const failures: (HearthError | undefined)[] = [];
    for (const commit of commits) failures.push(await this.#apply(commit));
    return failures;
  }

  /** Merges between the app's writes; returns why the commit did not become part of the history. */
  #apply(commit: RemoteCommit): Promise<HearthError | undefined> {
    const { loader, knowledge, onMerged } = this.#deps;
    const { event, opened } = commit;
    const name = `${event.eventCid}`;
    return betweenWrites(loader, async () => {
      const before = headOf(loader).map(String);
      const known = this.#failures.get(name);
      // A try takes seconds where histories are long, and holds up writes.
      if (known?.head === `${before}` && !await this.#hasAny(known.lacks)) return known.error;
      const failure = await this.#tryToApply(commit);
      this.#failures.delete(name);
      if (failure) {
        if (this.#failures.size >= maxFailures) this.#failures.clear();
        this.#failures.set(name, failure);
        return failure.error;
      }
      // Only what is merged may be superseded: a head that is not says what nothing else does.
      knowledge.heads.set(name, { cars: event.dbMeta.cars.map(String), events: opened.head });
      const after = headOf(loader).map(String);
      if (`${after}` === `${before}`) return undefined;
      onMerged(before, after);
      if (before.length === 0) await announceFirst(loader);
      return undefined;
    });
  }

  async #tryToApply({ event, opened }: RemoteCommit): Promise<Failure | undefined> {
    const { loader, store } = this.#deps;
    const head = `${headOf(loader)}`;
    const lacks = new Map<string, AnyLink>();
    let reason: unknown;
    try {
      await observingReads(loader, (cid, block) => block || lacks.set(`${cid}`, cid), async () => {
        await loader.handleDbMetasFromStore([event.dbMeta], store);
        // Fireproof tries each meta once.
        if (!await hasMerged(loader, opened.head)) await loader.ebOpts.applyMeta(opened.meta);
      });
    } catch (error) {
      reason = error;
    }
    if (await hasMerged(loader, opened.head)) return undefined;
    const message = `Cannot merge meta ${event.eventCid}: blocks of its history are missing`;
    const error = new HearthError("NOT_FOUND", message, { cause: reason });
    return { error, head, lacks: [...lacks.values()] };
  }

  /** Whether one of these blocks is here by now; true when it is not known which one is lacking. */
  async #hasAny(blocks: readonly AnyLink[]): Promise<boolean> {
    const blockstore = this.#deps.loader.blockstoreParent?.crdtParent?.blockstore;
    const found = await Promise.all(blocks.map((block) => blockstore?.get(block)));
    return found.length === 0 || found.some(Boolean);
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
