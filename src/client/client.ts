/** The plain client: one connection to a Hearth server, for any local-first store. */

import type { HearthError } from "../protocol/errors.ts";
import type { MethodTable } from "../protocol/method_table.ts";
import type { BlobListing, BlobRef, Changes, Meta, StoreName } from "../protocol/model.ts";

/** A token, or a function that brings one: called at first, before expiry and after a refusal. */
export type TokenSource = string | (() => string | Promise<string>);

/** Takes lines of the log. `console` fits. */
export interface Logger {
  /** Each step. */
  debug(message: string): void;
  /** What happened. */
  info(message: string): void;
  /** What went wrong and heals itself. */
  warn(message: string): void;
  /** What went wrong for good. */
  error(message: string): void;
}

/** Options of {@linkcode connect}. */
export interface ConnectOptions {
  /** Base URL of the server, `http:` or `https:`. */
  readonly url: string;
  /** Who is calling. */
  readonly token: TokenSource;
  /** How to reach it: a socket with HTTP as fallback, or one of them alone. @default "auto" */
  readonly transport?: "auto" | "websocket" | "http" | undefined;
  /** Ends the client. */
  readonly signal?: AbortSignal | undefined;
  /** Takes lines of the log. @default nothing is logged */
  readonly logger?: Logger | undefined;
}

/** Whether the server can be reached now. */
export type ClientStatus =
  | { readonly state: "connecting"; readonly since: number; readonly error?: HearthError }
  /** `via` tells which transport is in use. */
  | { readonly state: "open"; readonly since: number; readonly via: "websocket" | "http" }
  /** The link is lost; the next attempt comes by itself. */
  | { readonly state: "waiting"; readonly since: number; readonly error: HearthError }
  /** The token is refused; a token function will be asked again. */
  | { readonly state: "denied"; readonly since: number; readonly error: HearthError }
  | { readonly state: "closed"; readonly since: number };

/** Options of every call. */
export interface CallOptions {
  /** Gives up waiting; the call rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** A commit as an app writes it; blobs may be of any size up to the server's `blobBytes`. */
export interface CommitInput {
  /** `tenant/ledger`. */
  readonly ledger: string;
  /** The blobs that readers of the metas need and the ledger may not have. */
  readonly blobs?: readonly (BlobRef & { readonly bytes: Uint8Array })[] | undefined;
  /** New heads. */
  readonly metas?: readonly Meta[] | undefined;
  /** Keys that readers need for them. */
  readonly keys?: readonly string[] | undefined;
  /** CIDs of metas that these metas cover. */
  readonly supersedes?: readonly string[] | undefined;
  /** Blobs that no reader of the new heads needs. */
  readonly retires?: readonly BlobRef[] | undefined;
}

/** A blob fetched and checked against the digest that the server gave. */
export interface FetchedBlob extends BlobRef {
  /** The blob as stored. */
  readonly bytes: Uint8Array;
}

/** Whom a watch calls, one call at a time: the next comes when the promise of the last is settled. */
export interface WatchEvents {
  /** What happened, in order and without a gap. Must not throw; what it awaits holds back the next. */
  onChanges(changes: Changes): void | Promise<void>;
  /** An ephemeral message of another watcher. */
  onTold?(from: string, body: Uint8Array): void;
  /** Whether the watch is live: false from the moment the link is suspect until it has caught up. */
  onLive?(live: boolean): void;
  /** The server refuses the watch for good (a right is missing); it is over. */
  onError?(error: HearthError): void;
}

/** Options of {@linkcode Client.watch}. */
export interface WatchOptions extends CallOptions {
  /** Where to go on; from the heads without one. */
  readonly cursor?: string | undefined;
  /** Ask for the list of blobs in use with a reset. @default false */
  readonly inventory?: boolean | undefined;
}

/** A watch that runs until it is closed, over any number of connections. */
export interface Watch {
  /** The cursor behind the last changes whose `onChanges` has finished. */
  readonly cursor: string | undefined;
  /** Ends the watch; what is being delivered is finished, nothing more comes. */
  close(): void;
}

/**
 * A connection that heals itself. Calls wait for the link, survive its loss (every method is
 * idempotent or compare-and-set, but `tell`, which is sent at most once), and end with a result, an
 * error whose `retry` is `never`, or the caller's signal.
 */
export interface Client extends AsyncDisposable {
  /** Whether the server can be reached now. */
  readonly status: ClientStatus;
  /** Calls back on every change of `status`; returns the function that stops it. */
  onStatus(listener: (status: ClientStatus) => void): () => void;
  /** The epoch of the server's history, once connected. */
  readonly epoch: string | undefined;
  /** Calls one method of the protocol. */
  call<M extends keyof MethodTable>(
    method: M,
    params: MethodTable[M]["params"],
    options?: CallOptions,
  ): Promise<MethodTable[M]["result"]>;
  /**
   * Commits: uploads large blobs first, splits what exceeds one message into several frames of which
   * the last carries the metas. Returns the cursor behind the commit.
   *
   * @throws {HearthError} `MISSING_BLOBS`, `FORBIDDEN`, … when the server refuses it
   */
  commit(commit: CommitInput, options?: CallOptions): Promise<string>;
  /** Those of the blobs that the ledger does not have, in any number. */
  missing(ledger: string, blobs: readonly BlobRef[], options?: CallOptions): Promise<BlobRef[]>;
  /**
   * Fetches blobs, in any number and of any size, in as few round trips as the server's budget allows;
   * each is handed over as soon as it has arrived and its digest was checked.
   *
   * @returns the blobs that the ledger does not have
   */
  getBlobs(
    ledger: string,
    blobs: readonly BlobRef[],
    onBlob: (blob: FetchedBlob) => void | Promise<void>,
    options?: CallOptions,
  ): Promise<BlobRef[]>;
  /**
   * Lists all blobs of one store, retired ones included, newest first, a page at a time: the next one
   * is asked for when the loop goes on.
   */
  listBlobs(
    ledger: string,
    store: StoreName,
    options?: CallOptions,
  ): AsyncIterable<readonly BlobListing[]>;
  /** Watches a ledger until closed. */
  watch(ledger: string, events: WatchEvents, options?: WatchOptions): Watch;
  /** Sends an ephemeral message to the ledger's other watchers, if there is a link now. */
  tell(ledger: string, body: Uint8Array, options?: CallOptions): Promise<void>;
  /** Ends the client: calls that wait reject with `CLOSED`. */
  close(): Promise<void>;
}
