/** The methods as interfaces, for the public border; methods.ts holds them equal to its schemas. */

import type { Limits } from "./limits.ts";
import type {
  BlobAnswer,
  BlobListing,
  BlobRef,
  BlobUpload,
  Changes,
  DirectRequest,
  Meta,
  StoreName,
} from "./model.ts";

/** What each method takes and gives. */
export interface MethodTable {
  /** Opens the session. */
  readonly hello: Call<HelloParams, HelloResult>;
  /** Brings a fresh token. */
  readonly auth: Call<AuthParams, AuthResult>;
  /** Blobs, metas and keys in one atomic step. */
  readonly commit: Call<CommitParams, CursorResult>;
  /** Which blobs the ledger does not have. */
  readonly missing: Call<BlobsParams, MissingResult>;
  /** Several blobs at once. */
  readonly getBlobs: Call<GetBlobsParams, GetBlobsResult>;
  /** All blobs of one store, a page at a time. */
  readonly listBlobs: Call<ListBlobsParams, ListBlobsResult>;
  /** A URL to get or put one blob. */
  readonly signUrl: Call<SignUrlParams, SignUrlResult>;
  /** Everything after a cursor, then notifications. */
  readonly watch: Call<WatchParams, Changes>;
  /** Ends a watch. */
  readonly unwatch: Call<LedgerParams, Empty>;
  /** Everything after a cursor, waiting for it if there is nothing. */
  readonly poll: Call<PollParams, PollResult>;
  /** Takes metas out of the heads. */
  readonly delMeta: Call<DeleteMetasParams, CursorResult>;
  /** Reads a record of the caller's own. */
  readonly getWal: Call<RecordParams, WalResult>;
  /** Writes a record if it is still at the version named. */
  readonly putWal: Call<PutWalParams, VersionResult>;
  /** Removes a record if it is still at the version named. */
  readonly delWal: Call<VersionedRecordParams, Empty>;
  /** An ephemeral message to the ledger's other watchers. */
  readonly tell: Call<TellParams, Empty>;
}

/** One method: what it takes and what it gives. */
export interface Call<P, R> {
  /** What the caller sends. */
  readonly params: P;
  /** What the server answers. */
  readonly result: R;
}

/** An answer that says no more than "done". */
export type Empty = Record<never, never>;

/** Parameters of `hello`. */
export interface HelloParams {
  /** Protocol version that the client speaks. */
  readonly version: number;
  /** Who is calling. */
  readonly token?: string | undefined;
  /** Name of the program, for the server's log. */
  readonly client?: string | undefined;
}

/** Result of `hello`. */
export interface HelloResult {
  /** Protocol version of the session. */
  readonly version: number;
  /** Names the session in the server's log. */
  readonly session: string;
  /** Name and release of the server. */
  readonly server: string;
  /** The history that cursors belong to. */
  readonly epoch: string;
  /** Pause between heartbeats. */
  readonly heartbeatMs: number;
  /** When the token ends, epoch ms. */
  readonly expiresAt: number;
  /** The bounds of this session. */
  readonly limits: Limits;
}

/** Parameters of `auth`. */
export interface AuthParams {
  /** A fresh token of the same subject. */
  readonly token: string;
}

/** Result of `auth`. */
export interface AuthResult {
  /** When the token ends, epoch ms. */
  readonly expiresAt: number;
}

/** Names a ledger. */
export interface LedgerParams {
  /** `tenant/ledger`. */
  readonly ledger: string;
}

/** Parameters of `commit`. */
export interface CommitParams extends LedgerParams {
  /** Small blobs with their bytes, others by digest and size after their upload. */
  readonly blobs?: readonly BlobUpload[] | undefined;
  /** New heads. */
  readonly metas?: readonly Meta[] | undefined;
  /** Keys that readers need for them. */
  readonly keys?: readonly string[] | undefined;
  /** CIDs of metas that these metas cover. */
  readonly supersedes?: readonly string[] | undefined;
  /** Blobs that no reader of the new heads needs. */
  readonly retires?: readonly BlobRef[] | undefined;
}

/** How far the ledger is after a write. */
export interface CursorResult {
  /** The position behind the write. */
  readonly cursor: string;
}

/** Names blobs of a ledger. */
export interface BlobsParams extends LedgerParams {
  /** Which ones. */
  readonly blobs?: readonly BlobRef[] | undefined;
}

/** Result of `missing`. */
export interface MissingResult {
  /** Those that the ledger does not have. */
  readonly blobs: readonly BlobRef[];
}

/** Parameters of `getBlobs`. */
export interface GetBlobsParams extends BlobsParams {
  /** Most blob bytes inside the answer. */
  readonly inlineBytes?: number | undefined;
}

/** Result of `getBlobs`. */
export interface GetBlobsResult {
  /** Those that the ledger has. */
  readonly blobs: readonly BlobAnswer[];
  /** Those that it does not have. */
  readonly missing: readonly BlobRef[];
}

/** Parameters of `listBlobs`. */
export interface ListBlobsParams extends LedgerParams {
  /** Which store. */
  readonly store: StoreName;
  /** CID of the last blob of the page before; from the newest without one. */
  readonly before?: string | undefined;
  /** Most blobs of the page, 1 to 1,000. */
  readonly limit?: number | undefined;
}

/** Result of `listBlobs`. */
export interface ListBlobsResult {
  /** Blobs older than `before`, retired ones included, newest first. */
  readonly blobs: readonly BlobListing[];
  /** The store holds older ones than these. */
  readonly more: boolean;
}

/** Parameters of `signUrl`. */
export interface SignUrlParams extends LedgerParams {
  /** What the URL is for. */
  readonly method: "GET" | "PUT";
  /** Store of the blob. */
  readonly store: StoreName;
  /** CID of the blob. */
  readonly cid: string;
  /** With `PUT`: SHA-256 of the bytes, 32 bytes. */
  readonly digest?: Uint8Array | undefined;
  /** With `PUT`: length of the bytes. */
  readonly size?: number | undefined;
}

/** Result of `signUrl`. */
export interface SignUrlResult {
  /** Where to send the request. */
  readonly url: string;
  /** When the URL ends, epoch ms; `direct` ends then as well. */
  readonly expiresAt: number;
  /** The same by a request to the store itself, which may be out of reach. */
  readonly direct?: DirectRequest | undefined;
}

/** Parameters of `watch`. */
export interface WatchParams extends LedgerParams {
  /** Where to go on; from the heads without one. */
  readonly cursor?: string | undefined;
  /** Ask for the list of blobs in use with a reset. */
  readonly inventory?: boolean | undefined;
}

/** Parameters of `poll`. */
export interface PollParams extends WatchParams {
  /** How long to wait when there is nothing. */
  readonly waitMs?: number | undefined;
}

/** Result of `poll`. */
export interface PollResult {
  /** What happened after the cursor. */
  readonly changes: Changes;
  /** Ephemeral messages that came meanwhile. */
  readonly told: readonly Told[];
}

/** An ephemeral message. */
export interface Told {
  /** Whose it is. */
  readonly from: string;
  /** The message. */
  readonly body: Uint8Array;
}

/** Parameters of `delMeta`. */
export interface DeleteMetasParams extends LedgerParams {
  /** CIDs of the metas to take out. */
  readonly metas?: readonly string[] | undefined;
}

/** Names a record of the caller's own. */
export interface RecordParams extends LedgerParams {
  /** Name of the record. */
  readonly name: string;
}

/** Result of `getWal`. */
export interface WalResult {
  /** 1, 2, 3 … with each write; 0 when there is no record. */
  readonly version: number;
  /** The record; nil when there is none. */
  readonly bytes: Uint8Array | null;
}

/** Names a record at a version. */
export interface VersionedRecordParams extends RecordParams {
  /** The version it must be at. */
  readonly version: number;
}

/** Parameters of `putWal`. */
export interface PutWalParams extends VersionedRecordParams {
  /** The new record. */
  readonly bytes: Uint8Array;
}

/** Result of `putWal`. */
export interface VersionResult {
  /** The version the record has now. */
  readonly version: number;
}

/** Parameters of `tell`. */
export interface TellParams extends LedgerParams {
  /** The message. */
  readonly body: Uint8Array;
}
