/**
 * Carries local commits to the server. The local store is the queue: the newest commit lists every
 * car before it, so only the newest has to be sent, with whatever cars the server lacks.
 */

import type { AnyLink, DbMetaEvent, Loadable } from "@fireproof/core-types-blockstore";
import type { Client, Logger } from "../client/client.ts";
import { HearthError } from "../protocol/errors.ts";
import { maxListItems } from "../protocol/limits.ts";
import type { BlobRef } from "../protocol/model.ts";
import { openCar, toCarRef } from "./cars.ts";
import { isWithin } from "./clock.ts";
import { keepingCars } from "./compaction.ts";
import { exportKeys } from "./keys.ts";
import type { Knowledge } from "./knowledge.ts";
import { toMeta } from "./metas.ts";
import { rememberedCommit } from "./own_commits.ts";
import { toHearthError } from "./values.ts";

/** Blob bytes gathered before they are sent: what one commit of any size costs in memory. */
const uploadBytes = 2 << 20;
/** How often in a row the server may ask for blobs that this device thought stored. */
const maxRepairs = 5;
/** Pause before a commit that the server refused is offered again without a new write. */
const refusedPauseMs = 60_000;

/** What the outbox needs. */
export interface OutboxDeps {
  readonly ledger: string;
  readonly loader: Loadable;
  readonly client: Client;
  readonly knowledge: Knowledge;
  /** Settles when the ledger's heads have been read: before, the outbox would send what is there. */
  readonly caughtUp: Promise<void>;
  /** Loads an attachment from the device alone. */
  readonly loadFile: (cid: AnyLink) => Promise<Uint8Array | undefined>;
  readonly onChange: () => void;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** A commit of this device, read. */
interface LocalCommit {
  /** Its own cars. */
  readonly own: ReadonlySet<string>;
  /** Every car that its readers need, its own included. */
  readonly needed: ReadonlyMap<string, AnyLink>;
  /** Cars whose content is in those. */
  readonly compacted: ReadonlySet<string>;
  /** The events that the database's state consists of after it. */
  readonly head: readonly AnyLink[];
  /** It holds an event of that head. */
  readonly isWrite: boolean;
  readonly isCompaction: boolean;
}

/** Sends one commit at a time, the newest, until the server has acknowledged it. */
export class Outbox {
  readonly #deps: OutboxDeps;
  #newest: readonly DbMetaEvent[] | undefined;
  /** Cars of commits that said nothing new and were not sent: certainly not on the server. */
  readonly #unsent = new Set<string>();
  #hasSent = false;
  /** Cars compacted by commits that a newer one may have overtaken on the way. */
  readonly #compacted = new Set<string>();
  #put = 0;
  #acknowledged = 0;
  #refusal: HearthError | undefined;
  #running = false;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  readonly #waiters = new Set<() => void>();

  constructor(deps: OutboxDeps) {
    this.#deps = deps;
    deps.signal.addEventListener("abort", () => {
      clearTimeout(this.#retryTimer);
      this.#changed();
    }, { once: true });
  }

  /** Local commits that the server has not acknowledged. */
  get pending(): number {
    return this.#put - this.#acknowledged;
  }

  /** Why the server does not take the newest commit, while it does not. */
  get refusal(): HearthError | undefined {
    return this.#refusal;
  }

  /** Takes a commit that the local store holds already; returns at once. */
  put(events: readonly DbMetaEvent[]): void {
    this.#newest = events;
    this.#put++;
    this.#changed();
    this.retry();
  }

  /** Notes what a compaction made superfluous, should its own commit never be the newest. */
  addCompacted(cars: readonly string[]): void {
    for (const car of cars) this.#compacted.add(car);
  }

  /** Offers what waits to the server, also what it refused before. */
  retry(): void {
    clearTimeout(this.#retryTimer);
    if (!this.#running && this.#newest && !this.#deps.signal.aborted) void this.#run();
  }

  /**
   * Waits until everything put so far is acknowledged.
   *
   * @throws {HearthError} the server's refusal, when it does not take it; `CLOSED` when the
   * attachment ends first
   */
  async drained(): Promise<void> {
    const goal = this.#put;
    while (this.#acknowledged < goal) {
      if (this.#refusal && !this.#running) throw this.#refusal;
      if (this.#deps.signal.aborted) {
        throw new HearthError(
          "CLOSED",
          `Cannot flush "${this.#deps.ledger}": it was detached with ${this.pending} commits waiting`,
        );
      }
      await new Promise<void>((resolve) => this.#waiters.add(resolve));
    }
  }

  async #run(): Promise<void> {
    this.#running = true;
    let refusal: HearthError | undefined;
    try {
      await keepingCars(this.#deps.loader, () => this.#sendAll());
    } catch (cause) {
      refusal = toHearthError(cause, `Cannot send commits of "${this.#deps.ledger}"`);
    }
    this.#running = false;
    if (this.#deps.signal.aborted) return;
    // A commit may have come in the moment between the last look and here.
    if (!refusal) return this.retry();
    this.#refusal = refusal;
    this.#deps.logger.warn(`hearth: ${refusal.code} ${refusal.message}`);
    this.#retryTimer = setTimeout(() => this.retry(), refusedPauseMs);
    this.#changed();
  }

  async #sendAll(): Promise<void> {
    const { caughtUp, knowledge, signal } = this.#deps;
    await caughtUp;
    for (let repairs = 0; this.#newest && !signal.aborted;) {
      const events = this.#newest;
      const put = this.#put;
      try {
        await this.#send(events);
      } catch (error) {
        const missing = error instanceof HearthError ? error.details?.blobs ?? [] : [];
        if (missing.length === 0 || ++repairs > maxRepairs) throw error;
        knowledge.forgetStored(missing);
        continue;
      }
      if (this.#newest === events) this.#newest = undefined;
      this.#acknowledged = put;
      this.#refusal = undefined;
      this.#changed();
    }
  }

  async #send(events: readonly DbMetaEvent[]): Promise<void> {
    const { ledger, loader, client, knowledge, signal } = this.#deps;
    knowledge.enterEpoch(client.epoch);
    const commit = await this.#read(events);
    const { own, needed, compacted, head } = commit;
    if (await this.#saysNothing(commit)) {
      for (const cid of own) this.#unsent.add(cid);
      return;
    }
    const keys = await exportKeys(loader);
    const newKeys = knowledge.newKeys(keys);
    const uploaded: BlobRef[] = [];
    let batch: { store: "car" | "file"; cid: string; bytes: Uint8Array }[] = [];
    let batchBytes = 0;
    for await (const blob of this.#lacking(needed, own)) {
      if (batchBytes > 0 && batchBytes + blob.bytes.length > uploadBytes) {
        await client.commit({ ledger, blobs: batch, keys: newKeys }, { signal });
        batch = [];
        batchBytes = 0;
      }
      batch.push(blob);
      batchBytes += blob.bytes.length;
      uploaded.push({ store: blob.store, cid: blob.cid });
    }
    const metas = await Promise.all(events.map((event) => {
      const cars = event.dbMeta.cars.map(toCarRef);
      return toMeta(loader.sthis, event, unique([...cars, ...uploaded]).slice(0, maxListItems));
    }));
    // A state of several events is computed from older blocks than it names: the heads that brought
    // these stay, until a write has joined the events.
    const covered = head.length > 1 ? [] : [...needed.keys(), ...compacted];
    const supersedes = knowledge.coveredBy(new Set(covered))
      .filter((cid) => metas.every((meta) => meta.cid !== cid)).slice(0, maxListItems);
    const retires = [...compacted].filter((cid) => !needed.has(cid)).map(toCarRef)
      .filter((ref) => knowledge.isStored(ref)).slice(0, maxListItems);
    await client.commit({ ledger, blobs: batch, metas, keys: newKeys, supersedes, retires }, {
      signal,
    });
    knowledge.addKeys(keys);
    knowledge.addStored(uploaded);
    knowledge.addStored([...needed.keys()].map(toCarRef));
    for (const cid of supersedes) knowledge.heads.delete(cid);
    for (const [at, meta] of metas.entries()) {
      const cars = events[at]?.dbMeta.cars.map((car) => `${car}`) ?? [];
      knowledge.heads.set(meta.cid, { cars, events: head });
    }
    this.#hasSent = true;
    this.#unsent.clear();
    for (const cid of compacted) this.#compacted.delete(cid);
  }

  /**
   * Whether the server's heads say all that a commit says: there is one at each attach and after
   * merges, and Fireproof compacts what it only read. A device that writes sends its compactions, for
   * fresh readers.
   */
  async #saysNothing({ isWrite, isCompaction, head }: LocalCommit): Promise<boolean> {
    if (isCompaction ? this.#hasSent : isWrite) return false;
    const { loader, knowledge } = this.#deps;
    return await isWithin(loader, head, knowledge.events) === true;
  }

  /** Reads the commit headers: what readers need, and what this commit makes superfluous. */
  async #read(events: readonly DbMetaEvent[]): Promise<LocalCommit> {
    const { loader } = this.#deps;
    const local = loader.attachedStores.local();
    const needed = new Map<string, AnyLink>();
    const own = new Set<string>();
    const compacted = new Set(this.#compacted);
    const head: AnyLink[] = [];
    let isWrite = false;
    let isCompaction = true;
    for (const { dbMeta: { cars } } of events) {
      for (const car of cars) {
        own.add(`${car}`);
        needed.set(`${car}`, car);
      }
      if (!cars[0]) continue;
      const opened = rememberedCommit(loader, cars[0]) ?? await openCar(loader, cars[0], local);
      for (const car of opened.needs) needed.set(`${car}`, car);
      for (const car of opened.compacts) compacted.add(`${car}`);
      head.push(...opened.head);
      isWrite ||= opened.isWrite || cars.length > 1;
      isCompaction &&= opened.compacts.length > 0;
    }
    return { own, needed, compacted, head, isWrite, isCompaction };
  }

  /** The needed blobs that the server lacks, files before the cars that name them. */
  async *#lacking(needed: ReadonlyMap<string, AnyLink>, own: ReadonlySet<string>) {
    const { loader, knowledge } = this.#deps;
    const local = loader.attachedStores.local();
    const unknown = [...needed].filter(([cid]) => !knowledge.isStored(toCarRef(cid)));
    // New cars need no question; older ones are asked for, since another device may have sent them.
    const certain = unknown.filter(([cid]) => own.has(cid) || this.#unsent.has(cid));
    const asked = unknown.filter(([cid]) => !own.has(cid) && !this.#unsent.has(cid));
    const cars = [...await this.#missing("car", asked), ...certain];
    const files = new Map<string, AnyLink>();
    for (const [, link] of cars) {
      const { files: named } = rememberedCommit(loader, link) ?? await openCar(loader, link, local);
      for (const file of named) files.set(`${file}`, file);
    }
    const unknownFiles = [...files].filter(([cid]) => !knowledge.isStored({ store: "file", cid }));
    for (const [cid, link] of await this.#missing("file", unknownFiles)) {
      // A file that is not on this device came from another one, which sent it before its car.
      const bytes = await this.#deps.loadFile(link);
      if (bytes) yield { store: "file" as const, cid, bytes };
    }
    for (const [cid, link] of cars) {
      yield { store: "car" as const, cid, bytes: (await local.active.car.load(link)).bytes };
    }
  }

  /** Those of the blobs that the server does not have; the others are remembered as stored. */
  async #missing(store: "car" | "file", links: readonly [string, AnyLink][]) {
    if (links.length === 0) return [];
    const { client, ledger, knowledge, signal } = this.#deps;
    const refs = links.map(([cid]): BlobRef => ({ store, cid }));
    const missing = new Set((await client.missing(ledger, refs, { signal })).map(({ cid }) => cid));
    knowledge.addStored(refs.filter(({ cid }) => !missing.has(cid)));
    return links.filter(([cid]) => missing.has(cid));
  }

  #changed(): void {
    for (const wake of this.#waiters) wake();
    this.#waiters.clear();
    this.#deps.onChange();
  }
}

function unique(refs: readonly BlobRef[]): BlobRef[] {
  return [...new Map(refs.map((ref) => [`${ref.store}/${ref.cid}`, ref])).values()];
}
