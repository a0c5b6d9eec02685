/** One database attached to one ledger, from `attach` to `detach`: wires outbox, inbox and files. */

import type { DbMetaEvent, Loadable } from "@fireproof/core-types-blockstore";
import type { Client, Logger } from "../client/client.ts";
import { HearthError } from "../protocol/errors.ts";
import { mendCompaction } from "./compaction.ts";
import { findFilesRemotely, loadLocalFile } from "./files.ts";
import { Inbox, type MetaListener } from "./inbox.ts";
import { Keeper } from "./keeper.ts";
import { Knowledge } from "./knowledge.ts";
import { forgetBeforeAttach } from "./loading.ts";
import { Outbox } from "./outbox.ts";
import { rememberCommits } from "./own_commits.ts";
import type { Status } from "./status.ts";

/** Longest time that `attach` waits for the ledger's content before the app goes on without it. */
const firstReadMs = 10_000;
/** Longest time that `attach` waits for a server that has not answered at all. */
const firstAnswerMs = 2_000;
/** Longest time that closing waits for commits on their way. */
const lastWritesMs = 2_000;

/** What an attachment needs. */
export interface AttachmentDeps {
  readonly ledger: string;
  readonly loader: Loadable;
  /** Opened for this attachment, which closes it. */
  readonly client: Client;
  readonly logger: Logger;
  /** The status may have changed. */
  readonly onChange: () => void;
}

/** One database attached to one ledger. */
export class Attachment {
  readonly #deps: AttachmentDeps;
  readonly #ended = new AbortController();
  readonly #knowledge = new Knowledge();
  readonly #outbox: Outbox;
  readonly #keeper: Keeper;
  #inbox: Inbox | undefined;
  #settleReading: (inbox: Inbox | undefined) => void = () => {};

  constructor(deps: AttachmentDeps) {
    this.#deps = deps;
    const { ledger, loader, client } = deps;
    const { signal } = this.#ended;
    const reading = new Promise<Inbox | undefined>((resolve) => this.#settleReading = resolve);
    this.#outbox = new Outbox({
      ...deps,
      knowledge: this.#knowledge,
      caughtUp: reading.then((inbox) => inbox?.caughtUp),
      loadFile: (cid) => loadLocalFile(loader, cid),
      signal,
    });
    this.#keeper = new Keeper({ loader, logger: deps.logger, signal });
    forgetBeforeAttach(loader);
    rememberCommits(loader);
    mendCompaction(loader, (cars) => this.#outbox.addCompacted(cars), signal);
    findFilesRemotely(loader, { client, ledger, signal });
    const stop = client.onStatus((status) => {
      if (status.state === "open") {
        this.#outbox.retry();
        this.#inbox?.retry();
      }
      deps.onChange();
    });
    signal.addEventListener("abort", stop, { once: true });
  }

  /** Aborted when the attachment has ended. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** Starts to read, when Fireproof has given its listener. */
  read(metaUrl: string, listener: MetaListener): void {
    const { loader } = this.#deps;
    this.#inbox = new Inbox({
      ...this.#deps,
      knowledge: this.#knowledge,
      onMerged: () => this.#keeper.merged(),
      onCompacted: (cars) => this.#outbox.addCompacted(cars),
      signal: this.#ended.signal,
    }, loader.attachedStores.activate(metaUrl));
    this.#inbox.open(listener);
    this.#settleReading(this.#inbox);
  }

  /** Waits for the ledger's content, as long as there is hope: an offline app starts at once. */
  async firstRead(): Promise<void> {
    const { client } = this.#deps;
    const hope = new AbortController();
    const giveUp = () => hope.abort();
    const noAnswer = setTimeout(() => client.status.state === "open" || giveUp(), firstAnswerMs);
    const tooLong = setTimeout(giveUp, firstReadMs);
    const stop = client.onStatus(({ state }) => {
      if (state === "waiting" || state === "denied" || state === "closed") giveUp();
    });
    const { state } = client.status;
    if (state === "waiting" || state === "denied" || state === "closed") giveUp();
    await Promise.race([
      this.#inbox?.caughtUp,
      new Promise<void>((resolve) => {
        if (hope.signal.aborted) resolve();
        else hope.signal.addEventListener("abort", () => resolve(), { once: true });
      }),
    ]);
    clearTimeout(noAnswer);
    clearTimeout(tooLong);
    stop();
  }

  /** Takes a commit that the local store holds; never waits for the network. */
  write(events: readonly DbMetaEvent[]): void {
    this.#keeper.written();
    this.#outbox.put(events);
  }

  /** The bytes of a car: from this device, else from the server. */
  async loadCar(cid: string): Promise<Uint8Array> {
    if (!this.#inbox) throw new HearthError("CLOSED", `Cannot load car ${cid}: not attached yet`);
    return await this.#inbox.readCar(cid);
  }

  /** See `Hearth.flush`. */
  async flush(): Promise<void> {
    const { client, loader } = this.#deps;
    // Fireproof hands commits on from a queue of its own, behind the local write.
    await loader.commitQueue.waitIdle();
    this.#outbox.retry();
    if (this.#outbox.pending === 0) return;
    let stop = () => {};
    const denied = new Promise<never>((_, reject) => {
      const check = () => {
        if (client.status.state === "denied") reject(client.status.error);
      };
      stop = client.onStatus(check);
      check();
    });
    await Promise.race([this.#outbox.drained(), denied]).finally(stop);
  }

  /** What the app is told; without `since`. */
  get status(): Omit<Status, "since"> {
    const { client } = this.#deps;
    const { pending } = this.#outbox;
    if (this.#ended.signal.aborted) return { state: "closed", pending };
    const refusal = this.#inbox?.refusal ?? this.#outbox.refusal;
    if (client.status.state === "denied") {
      return { state: "denied", pending, error: client.status.error };
    }
    if (client.status.state !== "open") {
      const error = "error" in client.status ? client.status.error : undefined;
      return { state: "offline", pending, ...(error && { error }) };
    }
    if (refusal?.retry === "never") return { state: "denied", pending, error: refusal };
    const stuck = this.#inbox?.stuck;
    if (stuck) return { state: "stale", pending, error: stuck };
    if (this.#inbox?.interrupted) return { state: "stale", pending };
    return { state: pending === 0 && this.#inbox?.upToDate ? "synced" : "syncing", pending };
  }

  /** Ends the attachment; commits on their way get a moment, what is left stays in the local store. */
  async close(): Promise<void> {
    if (this.#ended.signal.aborted) return;
    const { client } = this.#deps;
    await this.#keeper.keep();
    if (client.status.state === "open" && this.#outbox.pending > 0 && !this.#outbox.refusal) {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const patience = new Promise<void>((resolve) => timer = setTimeout(resolve, lastWritesMs));
      // A refusal is in the status; here only the time matters.
      await Promise.race([this.#outbox.drained().catch(() => {}), patience]);
      clearTimeout(timer);
    }
    this.#settleReading(undefined);
    this.#ended.abort(new HearthError("CLOSED", `"${this.#deps.ledger}" was detached`));
    await client.close();
    await this.#inbox?.idle();
    this.#deps.onChange();
  }
}
