/**
 * The group committer: commits that wait go together in one transaction, so that many of them share
 * one fsync, and each still gets an outcome of its own.
 */

import { setImmediate } from "node:timers";
import { HearthError } from "../protocol/errors.ts";
import type { Commit, Done, MetaStore, Outcome } from "./stores/meta_store.ts";

/** Options of {@linkcode createCommitter}. */
export interface CommitterOptions {
  readonly store: Pick<MetaStore, "commit" | "batchesAtOnce">;
  /**
   * Told of each commit that was kept, in the order of `seq` within a ledger, before the commit's own
   * promise resolves. What it throws rejects that promise alone: the commit stays.
   */
  readonly onCommitted?: ((commit: Commit, outcome: Done) => void) | undefined;
  /** Most commits of one transaction. @default 256 */
  readonly maxBatch?: number | undefined;
  /** Most bytes of one transaction, unless a single commit has more. @default 8388608 */
  readonly maxBatchBytes?: number | undefined;
  /** Most commits waiting; more are refused with `RATE_LIMITED`. @default 4096 */
  readonly maxQueue?: number | undefined;
  /** Most bytes waiting; more are refused with `RATE_LIMITED`. @default 67108864 */
  readonly maxQueueBytes?: number | undefined;
  /** Runs something once the input that is already here has been read. @default setImmediate */
  readonly defer?: ((run: () => void) => void) | undefined;
}

/** Puts commits into the store. Disposing it refuses new ones and waits for those it has. */
export interface Committer extends AsyncDisposable {
  /**
   * Resolves when the commit is durable or refused.
   *
   * @throws {HearthError} `RATE_LIMITED` when too much waits, `UNAVAILABLE` after the end, and
   * whatever the store fails with: then nothing of the commit was kept, unless its connection to a
   * database was lost for so long that nobody knows (`UNAVAILABLE`); repeating it is harmless
   */
  commit(commit: Commit): Promise<Outcome>;
}

/** Makes a committer. */
export function createCommitter(options: CommitterOptions): Committer {
  return new GroupCommitter(options);
}

/** Advice to those who are refused: by then a full queue has gone to the disk many times over. */
const retryAfterMs = 500;
/** So many batches are on their way at once however little they hold, where the store allows it. */
const alwaysAtOnce = 2;
/** So many commits are worth a batch more, when they wait behind those: fewer gain by waiting for others. */
const worthABatch = 32;
/** What a commit and each of its parts weigh beside their bytes. */
const overheadBytes = 256;

interface Waiting {
  readonly commit: Commit;
  readonly bytes: number;
  resolve(outcome: Outcome): void;
  reject(reason: unknown): void;
}

class GroupCommitter implements Committer {
  readonly #store: CommitterOptions["store"];
  readonly #onCommitted: (commit: Commit, outcome: Done) => void;
  readonly #maxBatch: number;
  readonly #maxBatchBytes: number;
  readonly #maxQueue: number;
  readonly #maxQueueBytes: number;
  readonly #defer: (run: () => void) => void;
  readonly #queue: Waiting[] = [];
  #queuedBytes = 0;
  /** Batches on their way. */
  readonly #inFlight = new Set<Promise<void>>();
  #running: Promise<void> | undefined;
  /** Called when enough wait for a batch more. */
  #onCrowd: (() => void) | undefined;
  #isClosed = false;

  constructor(options: CommitterOptions) {
    this.#store = options.store;
    this.#onCommitted = options.onCommitted ?? (() => {});
    this.#maxBatch = options.maxBatch ?? 256;
    this.#maxBatchBytes = options.maxBatchBytes ?? 8 << 20;
    this.#maxQueue = options.maxQueue ?? 4096;
    this.#maxQueueBytes = options.maxQueueBytes ?? 64 << 20;
    this.#defer = options.defer ?? ((run) => void setImmediate(run));
  }

  commit(commit: Commit): Promise<Outcome> {
    const bytes = weigh(commit);
    const refusal = this.#refusal(commit, bytes);
    if (refusal) return Promise.reject(refusal);
    return new Promise((resolve, reject) => {
      this.#queue.push({ commit, bytes, resolve, reject });
      this.#queuedBytes += bytes;
      if (this.#queue.length === worthABatch) this.#onCrowd?.();
      this.#running ??= this.#run();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    await this.#running;
    await Promise.all(this.#inFlight);
  }

  #refusal({ ledger }: Commit, bytes: number): HearthError | undefined {
    if (this.#isClosed) {
      return new HearthError("UNAVAILABLE", `Cannot commit to "${ledger}": the server is stopping`);
    }
    const waiting = this.#queue.length;
    if (waiting === 0) return undefined;
    if (waiting < this.#maxQueue && this.#queuedBytes + bytes <= this.#maxQueueBytes) {
      return undefined;
    }
    return new HearthError(
      "RATE_LIMITED",
      `Cannot commit to "${ledger}": ${waiting} commits are waiting already`,
      { details: { retryAfterMs } },
    );
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0) {
      // The store may hold up the whole process while it writes: what came meanwhile is read first,
      // so that it all goes into the next transaction.
      await new Promise<void>((resolve) => this.#defer(resolve));
      const batch = this.#commitBatch(this.#takeBatch());
      this.#inFlight.add(batch);
      void batch.then(() => this.#inFlight.delete(batch));
      while (!this.#hasRoom) {
        const crowd = Promise.withResolvers<void>();
        this.#onCrowd = crowd.resolve;
        await Promise.race([...this.#inFlight, crowd.promise]);
      }
    }
    this.#running = undefined;
  }

  /** Whether a batch may begin. */
  get #hasRoom(): boolean {
    const { size } = this.#inFlight;
    const { batchesAtOnce } = this.#store;
    if (size < Math.min(batchesAtOnce, alwaysAtOnce)) return true;
    return size < batchesAtOnce && this.#queue.length >= worthABatch;
  }

  #takeBatch(): readonly Waiting[] {
    let bytes = 0;
    let count = 0;
    for (const waiting of this.#queue) {
      bytes += waiting.bytes;
      if (count > 0 && (count >= this.#maxBatch || bytes > this.#maxBatchBytes)) break;
      count++;
    }
    const batch = this.#queue.splice(0, count);
    for (const waiting of batch) this.#queuedBytes -= waiting.bytes;
    return batch;
  }

  async #commitBatch(batch: readonly Waiting[]): Promise<void> {
    try {
      const outcomes = await this.#store.commit(batch.map(({ commit }) => commit));
      batch.forEach((waiting, at) => this.#settle(waiting, outcomes[at]));
    } catch (error) {
      // The transaction was rolled back: each of them failed, and the next batch may fare better.
      for (const waiting of batch) waiting.reject(error);
    }
  }

  #settle({ commit, resolve, reject }: Waiting, outcome: Outcome | undefined): void {
    try {
      if (!outcome) throw new RangeError(`Cannot commit to "${commit.ledger}": no outcome came`);
      if (outcome.kind === "done") this.#onCommitted(commit, outcome);
      resolve(outcome);
    } catch (error) {
      reject(error);
    }
  }
}

function weigh({ blobs, metas, keys, supersedes, retires }: Commit): number {
  const parts = [
    ...blobs.map((blob) => blob.bytes?.length ?? 0),
    ...metas.map((meta) => meta.data.length),
    ...keys.map((key) => key.length),
    ...supersedes.map((cid) => cid.length),
    ...retires.map(({ cid }) => cid.length),
  ];
  return parts.reduce((sum, bytes) => sum + bytes + overheadBytes, overheadBytes);
}
