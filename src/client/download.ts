/** One `getBlobs` of any number of blobs: rounds of answers, and downloads beside them. */

import type { Clock } from "../base/clock.ts";
import { Semaphore } from "../base/semaphore.ts";
import { HearthError } from "../protocol/errors.ts";
import type { Limits } from "../protocol/limits.ts";
import type { BlobAnswer, BlobRef } from "../protocol/model.ts";
import { mapBounded } from "./bounded.ts";
import type { Calls } from "./calls.ts";
import type { FetchedBlob } from "./client.ts";
import { maxRefs } from "./commit_plan.ts";
import { checkDigest } from "./signed_url.ts";
import type { Transfers } from "./transfers.ts";

/** What a download works with. */
export interface DownloadOptions {
  readonly calls: Calls;
  readonly transfers: Transfers;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly ledger: string;
  readonly onBlob: (blob: FetchedBlob) => void | Promise<void>;
  readonly signal: AbortSignal;
}

/** Bytes of downloads at once, and what each counts at least: so there are four at most. */
const downloadBytes = 16 << 20;
const minDownloadBytes = 4 << 20;
/** The smallest answer worth a round trip, on a line that could not take larger ones. */
const minInlineBytes = 64 << 10;
/** Signed URLs live for 15 minutes: older ones are not tried, since the download has to begin by then. */
const freshMs = 10 * 60_000;
/**
 * Digests under way at once. Each is computed on another thread, and one after another they mostly
 * wait for their turn in the loop; more than this brought nothing on any runtime.
 */
const maxChecks = 8;

interface Wanted extends BlobRef {
  /** Known once the server has answered with a URL. */
  readonly size?: number;
}

/** Fetches blobs; returns those that the ledger does not have. */
export async function downloadBlobs(
  refs: readonly BlobRef[],
  options: DownloadOptions,
): Promise<BlobRef[]> {
  const stop = new AbortController();
  const download = new Download({
    ...options,
    signal: AbortSignal.any([options.signal, stop.signal]),
  });
  try {
    return await download.run(refs);
  } catch (error) {
    stop.abort(error);
    throw error;
  }
}

class Download {
  readonly #options: DownloadOptions;
  readonly #missing: BlobRef[] = [];
  readonly #room = new Semaphore(downloadBytes);
  /** Bounded: a download is only started when there is room for it. */
  readonly #running = new Set<Promise<void>>();
  #failure: Promise<never>;
  #fail: (error: unknown) => void;

  constructor(options: DownloadOptions) {
    this.#options = options;
    const { promise, reject } = Promise.withResolvers<never>();
    this.#failure = promise;
    this.#fail = reject;
    // Whoever waits for it hears of it; until then it is nobody's.
    promise.catch(() => {});
  }

  async run(refs: readonly BlobRef[]): Promise<BlobRef[]> {
    const unique = new Map(refs.map((ref) => [`${ref.store}/${ref.cid}`, ref]));
    let wanted: Wanted[] = [...unique.values()];
    while (wanted.length > 0) {
      const batch = this.#nextBatch(wanted);
      const again = await Promise.race([this.#round(batch), this.#failure]);
      wanted = [...wanted.slice(batch.length), ...again];
    }
    await Promise.race([Promise.all(this.#running), this.#failure]);
    return this.#missing;
  }

  /** As many as one answer can hold, as far as their sizes are known. */
  #nextBatch(wanted: readonly Wanted[]): readonly Wanted[] {
    const { limits } = this.#options;
    let bytes = 0;
    let count = 0;
    for (const { size = 0 } of wanted.slice(0, maxRefs(limits))) {
      bytes += size;
      if (count > 0 && bytes > limits.inlineBytes) break;
      count++;
    }
    return wanted.slice(0, count);
  }

  /** Asks for a batch; returns those of it that are to be asked for again. */
  async #round(batch: readonly Wanted[]): Promise<Wanted[]> {
    const { calls, ledger, limits, clock, signal, onBlob } = this.#options;
    const blobs = batch.map(({ store, cid }) => ({ store, cid }));
    const { inlineBytes: expectBytes } = limits;
    const askedAt = clock.now();
    const answer = await calls.run("getBlobs", (attempt) => {
      // An answer that did not come through may have been too large for the line.
      const inlineBytes = Math.max(minInlineBytes, expectBytes / 2 ** attempt | 0);
      return { ledger, blobs, inlineBytes };
    }, { signal, expectBytes });

    const open = new Map(batch.map((wanted) => [`${wanted.store}/${wanted.cid}`, wanted]));
    const again: Wanted[] = [];
    for (const { store, cid } of answer.missing) {
      if (open.delete(`${store}/${cid}`)) this.#missing.push({ store, cid });
    }
    await mapBounded(answer.blobs, maxChecks, async (blob) => {
      if (blob.bytes && open.has(`${blob.store}/${blob.cid}`)) await checkDigest(blob, blob.bytes);
    });
    for (const blob of answer.blobs) {
      const { store, cid, size, bytes } = blob;
      const wanted = open.get(`${store}/${cid}`);
      if (!wanted || !open.delete(`${store}/${cid}`)) continue;
      if (bytes) {
        await onBlob({ store, cid, bytes });
      } else if (wanted.size === undefined && size <= limits.inlineBlobBytes) {
        // Small, and outside of the answer only since that was full.
        again.push({ store, cid, size });
      } else {
        await this.#start(blob, askedAt);
      }
    }
    const [forgotten] = open.keys();
    if (forgotten === undefined) return again;
    throw new HearthError("INTERNAL", `Cannot get blob ${forgotten}: the server's answer lacks it`);
  }

  async #start({ url, direct, ...blob }: BlobAnswer, askedAt: number): Promise<void> {
    const { transfers, ledger, clock, signal, onBlob } = this.#options;
    const release = await this.#room.take(Math.max(blob.size, minDownloadBytes), signal);
    const { store, cid } = blob;
    const ways = clock.now() - askedAt < freshMs ? { url, direct } : {};
    const running = transfers.download(ledger, { ...blob, ...ways }, signal).then(async (bytes) => {
      if (bytes) await onBlob({ store, cid, bytes });
      else this.#missing.push({ store, cid });
    }).catch(this.#fail).finally(() => {
      release();
      this.#running.delete(running);
    });
    this.#running.add(running);
  }
}
