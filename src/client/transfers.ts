/**
 * Large blobs on their way over signed URLs: signed, sent, and tried again. What can go to the store
 * itself does; when that does not work, it goes through the server.
 */

import { backoffMs } from "../base/backoff.ts";
import { sleep } from "../base/clock.ts";
import { HearthError } from "../protocol/errors.ts";
import type { BlobAnswer, BlobRef, BlobUpload, DirectRequest } from "../protocol/model.ts";
import type { Calls } from "./calls.ts";
import type { Logger } from "./client.ts";
import type { ClientDeps } from "./deps.ts";
import { getBytes, putBytes, sha256, type SignedTarget } from "./signed_url.ts";

/** What transfers work with. */
export interface TransfersOptions {
  readonly calls: Calls;
  readonly deps: Pick<ClientDeps, "clock" | "random" | "fetch">;
  /** What a relative URL is relative to. */
  readonly baseUrl: string;
  readonly logger: Logger | undefined;
}

/** The ways that the server offers for one blob. */
interface Ways {
  readonly url: string;
  readonly direct?: DirectRequest | undefined;
}

/**
 * How long everything goes through the server after the store could not be reached: a firewall that
 * answers nothing costs minutes each time.
 */
const detourMs = 5 * 60_000;
/** Attempts of what may be cured by another URL or another download, but mostly is not. */
const maxDoubtful = 5;

/** Moves large blobs. */
export class Transfers {
  readonly #calls: Calls;
  readonly #deps: TransfersOptions["deps"];
  readonly #baseUrl: string;
  readonly #logger: Logger | undefined;
  /** Until when everything goes through the server, epoch ms. */
  #detourEndsAt = 0;

  constructor({ calls, deps, baseUrl, logger }: TransfersOptions) {
    this.#calls = calls;
    this.#deps = deps;
    this.#baseUrl = baseUrl;
    this.#logger = logger;
  }

  /** Uploads a blob; gives what a commit then says of it. */
  async upload(
    ledger: string,
    { store, cid, bytes }: BlobRef & { readonly bytes: Uint8Array },
    signal: AbortSignal,
  ): Promise<BlobUpload> {
    const named = { store, cid, digest: await sha256(bytes), size: bytes.length };
    return await this.#persist(signal, urlCures, async () => {
      const ways = await this.#calls.call("signUrl", { ledger, method: "PUT", ...named }, {
        signal,
      });
      await this.#move(ways, signal, (target) => putBytes(target, bytes, this.#deps, signal));
      return named;
    });
  }

  /** Downloads a blob and checks it; nothing when the ledger does not have it any more. */
  async download(
    ledger: string,
    { store, cid, digest, size, url, direct }: BlobAnswer,
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined> {
    const blob = { store, cid, digest, size };
    let offered: Ways | undefined = url === undefined ? undefined : { url, direct };
    return await this.#persist(signal, downloadCures, async () => {
      const ways = offered ?? await this.#signGet(ledger, { store, cid }, signal);
      if (!ways) return undefined;
      // URLs end: another attempt starts with another one.
      offered = undefined;
      return await this.#move(ways, signal, (target) => {
        return getBytes(target, blob, this.#deps, signal);
      });
    });
  }

  /** Sends everything through the server for a while, since directly it does not arrive. */
  detour(reason: HearthError): void {
    const now = this.#deps.clock.now();
    if (now >= this.#detourEndsAt) {
      this.#logger?.warn(`blobs go through the server for ${detourMs} ms: ${reason.message}`);
    }
    this.#detourEndsAt = now + detourMs;
  }

  /** Goes the direct way, if there is one, and the other when it fails: once, and not back. */
  async #move<T>(
    { url, direct }: Ways,
    signal: AbortSignal,
    move: (target: SignedTarget) => Promise<T>,
  ): Promise<T> {
    if (direct && this.#deps.clock.now() >= this.#detourEndsAt) {
      try {
        return await move({ url: new URL(direct.url), headers: direct.headers });
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof HearthError)) throw error;
        this.detour(error);
      }
    }
    return await move({ url: new URL(url, this.#baseUrl), headers: {} });
  }

  async #signGet(ledger: string, ref: BlobRef, signal: AbortSignal): Promise<Ways | undefined> {
    try {
      const params = { ledger, method: "GET", ...ref } as const;
      return await this.#calls.call("signUrl", params, { signal });
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
