/** Large blobs on their way over signed URLs: signed, sent, and tried again. */

import { backoffMs } from "../base/backoff.ts";
import { sleep } from "../base/clock.ts";
import { HearthError } from "../protocol/errors.ts";
import type { BlobAnswer, BlobRef, BlobUpload } from "../protocol/model.ts";
import type { Calls } from "./calls.ts";
import type { ClientDeps } from "./deps.ts";
import { getBytes, putBytes, sha256 } from "./signed_url.ts";

/** What transfers work with. */
export interface TransfersOptions {
  readonly calls: Calls;
  readonly deps: Pick<ClientDeps, "clock" | "random" | "fetch">;
  /** What a relative URL is relative to. */
  readonly baseUrl: string;
}

/** Attempts of what may be cured by another URL or another download, but mostly is not. */
const maxDoubtful = 5;

/** Moves large blobs. */
export class Transfers {
  readonly #calls: Calls;
  readonly #deps: TransfersOptions["deps"];
  readonly #baseUrl: string;

  constructor({ calls, deps, baseUrl }: TransfersOptions) {
    this.#calls = calls;
    this.#deps = deps;
    this.#baseUrl = baseUrl;
  }

  /** Uploads a blob; gives what a commit then says of it. */
  async upload(
    ledger: string,
    { store, cid, bytes }: BlobRef & { readonly bytes: Uint8Array },
    signal: AbortSignal,
  ): Promise<BlobUpload> {
    const named = { store, cid, digest: await sha256(bytes), size: bytes.length };
    return await this.#persist(signal, urlCures, async () => {
      const { url } = await this.#calls.call("signUrl", { ledger, method: "PUT", ...named }, {
        signal,
      });
      await putBytes(new URL(url, this.#baseUrl), bytes, this.#deps, signal);
      return named;
    });
  }

  /** Downloads a blob and checks it; nothing when the ledger does not have it any more. */
  async download(
    ledger: string,
    { store, cid, digest, size, url: firstUrl }: BlobAnswer,
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined> {
    let url = firstUrl;
    return await this.#persist(signal, downloadCures, async () => {
      url ??= await this.#signGet(ledger, { store, cid }, signal);
      if (url === undefined) return undefined;
      const target = new URL(url, this.#baseUrl);
      // URLs end: another attempt starts with another one.
      url = undefined;
      return await getBytes(target, { store, cid, digest, size }, this.#deps, signal);
    });
  }

  async #signGet(ledger: string, ref: BlobRef, signal: AbortSignal): Promise<string | undefined> {
    try {
      const params = { ledger, method: "GET", ...ref } as const;
      return (await this.#calls.call("signUrl", params, { signal })).url;
    } catch (error) {
      if (error instanceof HearthError && error.code === "NOT_FOUND") return undefined;
      throw error;
    }
  }

  /** Tries until the caller gives up, or until it becomes clear that nothing will help. */
  async #persist<T>(
    signal: AbortSignal,
    cures: ReadonlySet<string>,
    run: () => Promise<T>,
  ): Promise<T> {
    const { clock, random } = this.#deps;
    let doubtful = 0;
    for (let attempt = 0;; attempt++) {
      try {
        return await run();
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof HearthError)) throw error;
        if (error.retry === "never" && (!cures.has(error.code) || ++doubtful >= maxDoubtful)) {
          throw error;
        }
        const atLeastMs = error.details?.retryAfterMs;
        await sleep(clock, backoffMs(attempt, random(), { atLeastMs }), signal);
      }
    }
  }
}

/** Final errors of a URL (it ended, it vanished) that another URL may cure. */
const urlCures: ReadonlySet<string> = new Set(["FORBIDDEN", "NOT_FOUND"]);
/** A download may have been cut short as well. */
const downloadCures: ReadonlySet<string> = new Set([...urlCures, "DIGEST_MISMATCH"]);
