/** Commits and blobs of any size and number, within what the server takes in one message. */

import type { Clock } from "../base/clock.ts";
import { HearthError } from "../protocol/errors.ts";
import type { Limits } from "../protocol/limits.ts";
import type { CommitParams } from "../protocol/method_table.ts";
import type { BlobListing, BlobRef, BlobUpload, StoreName } from "../protocol/model.ts";
import { mapBounded } from "./bounded.ts";
import type { Calls } from "./calls.ts";
import type { CallOptions, CommitInput, FetchedBlob } from "./client.ts";
import { blobFrameBytes, maxRefs, planCommits } from "./commit_plan.ts";
import type { Connection } from "./connection.ts";
import { downloadBlobs } from "./download.ts";
import { Transfers, type TransfersOptions } from "./transfers.ts";

/** Options of {@linkcode Blobs}. */
export interface BlobsOptions extends TransfersOptions {
  readonly connection: Pick<Connection, "ready" | "signal">;
}

/** Uploads, and messages of one commit, at once. */
const maxParallel = 3;

/** What a client does with blobs. */
export class Blobs {
  readonly #calls: Calls;
  readonly #connection: BlobsOptions["connection"];
  readonly #transfers: Transfers;
  readonly #clock: Clock;

  constructor(options: BlobsOptions) {
    this.#calls = options.calls;
    this.#connection = options.connection;
    this.#transfers = new Transfers(options);
    this.#clock = options.deps.clock;
  }

  /** Commits, in as many steps as it takes; the last one makes it visible. */
  async commit(commit: CommitInput, options: CallOptions = {}): Promise<string> {
    const signal = this.#signal(options);
    const limits = await this.#limits(signal);
    const { ledger } = commit;
    const blobs = await mapBounded(commit.blobs ?? [], maxParallel, async (blob) => {
      if (blob.bytes.length > limits.blobBytes) throw tooLarge(ledger, blob, limits);
      return fitsInside(blob, limits) ? blob : await this.#transfers.upload(ledger, blob, signal);
    });
    try {
      return await this.#send(planCommits({ ...commit, blobs }, limits.messageBytes), signal);
    } catch (error) {
      this.#lookForLost(error, blobs);
      throw error;
    }
  }

  async #send(plan: readonly CommitParams[], signal: AbortSignal): Promise<string> {
    const [first, ...parts] = plan;
    const last = parts.pop() ?? first;
    if (!first || !last) throw new TypeError("A plan has a first and a last commit");
    // The keys are stored before anything that needs them.
    if (first !== last) await this.#calls.call("commit", first, { signal });
    await mapBounded(parts, maxParallel, (part) => this.#calls.call("commit", part, { signal }));
    return (await this.#calls.call("commit", last, { signal })).cursor;
  }

  /** What was uploaded and did not arrive had better take another way when the caller tries again. */
  #lookForLost(error: unknown, blobs: readonly BlobUpload[]): void {
    if (!(error instanceof HearthError)) return;
    const missing = new Set(error.details?.blobs?.map(({ store, cid }) => `${store}/${cid}`));
    const isLost = ({ store, cid, bytes }: BlobUpload) => !bytes && missing.has(`${store}/${cid}`);
    if (blobs.some(isLost)) this.#transfers.detour(error);
  }

  /** Those of the blobs that the ledger does not have. */
  async missing(
    ledger: string,
    blobs: readonly BlobRef[],
    options: CallOptions = {},
  ): Promise<BlobRef[]> {
    const chunkSize = maxRefs(await this.#limits(this.#signal(options)));
    const chunks: BlobRef[][] = [];
    for (let at = 0; at < blobs.length; at += chunkSize) {
      chunks.push(blobs.slice(at, at + chunkSize).map(({ store, cid }) => ({ store, cid })));
    }
    const answers = await mapBounded(chunks, maxParallel, (chunk) => {
      return this.#calls.call("missing", { ledger, blobs: chunk }, options);
    });
    return answers.flatMap((answer) => answer.blobs);
  }

  /** Fetches blobs; returns those that the ledger does not have. */
  async get(
    ledger: string,
    blobs: readonly BlobRef[],
    onBlob: (blob: FetchedBlob) => void | Promise<void>,
    options: CallOptions = {},
  ): Promise<BlobRef[]> {
    const signal = this.#signal(options);
    return await downloadBlobs(blobs, {
      calls: this.#calls,
      transfers: this.#transfers,
      clock: this.#clock,
      limits: await this.#limits(signal),
      ledger,
      onBlob,
      signal,
    });
  }

  /** All blobs of one store, newest first, a page at a time. */
  async *list(
    ledger: string,
    store: StoreName,
    options: CallOptions = {},
  ): AsyncGenerator<readonly BlobListing[]> {
    let before: string | undefined;
    do {
      const page = await this.#calls.call("listBlobs", { ledger, store, before }, options);
      if (page.blobs.length > 0) yield page.blobs;
      // Behind an empty page there is no going on, whatever the server says.
      before = page.more ? page.blobs.at(-1)?.cid : undefined;
    } while (before !== undefined);
  }

  #signal({ signal }: CallOptions): AbortSignal {
    const { signal: closed } = this.#connection;
    return signal ? AbortSignal.any([signal, closed]) : closed;
  }

  async #limits(signal: AbortSignal): Promise<Limits> {
    return (await this.#connection.ready(signal)).session.limits;
  }
}

/** Half a message, so that a blob never fills one beside its metas. */
function fitsInside(blob: BlobUpload, { inlineBlobBytes, messageBytes }: Limits): boolean {
  const bytes = blob.bytes?.length ?? 0;
  return bytes <= inlineBlobBytes && blobFrameBytes(blob) <= messageBytes / 2;
}

function tooLarge(ledger: string, { cid, bytes }: BlobUpload, { blobBytes }: Limits): HearthError {
  return new HearthError(
    "TOO_LARGE",
    `Cannot commit to "${ledger}": blob ${cid} has ${bytes?.length} bytes, of ${blobBytes} allowed`,
  );
}
