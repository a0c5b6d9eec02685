/** What a handler gets and gives: the services behind the server, and who asks. */

import type { Clock } from "../base/clock.ts";
import type { Limits } from "../protocol/limits.ts";
import type { Encoded } from "../protocol/encode.ts";
import type { MethodName, methods, Params, Result } from "../protocol/methods.ts";
import type { Deep } from "../protocol/model.ts";
import type { Verify } from "../sts/verify.ts";
import type { FlushTurn } from "./flush_turn.ts";
import type { Hub, Listener } from "./hub.ts";
import type { Log } from "./log.ts";
import type { Publisher } from "./publisher.ts";
import type { Session } from "./session.ts";
import type { SharedReads } from "./shared_reads.ts";
import type { UrlSigner } from "./signed_url.ts";
import type { BlobStore } from "./stores/blob_store.ts";
import type { DirectBlobs } from "./stores/direct_blob_store.ts";
import type { Commit, LedgerId, MetaStore, Outcome } from "./stores/meta_store.ts";

/** The slice of the committer that handlers use. */
export interface CommitDesk {
  commit(commit: Commit): Promise<Outcome>;
}

/** What stands behind all connections. */
export interface Services {
  readonly metaStore: MetaStore;
  /** Reads of ledgers that many may want at the same time. */
  readonly reads: SharedReads;
  readonly blobStore: BlobStore;
  /** Signs requests to the blob store, when clients may send them to it themselves. */
  readonly directBlobs: DirectBlobs | undefined;
  readonly committer: CommitDesk;
  readonly hub: Hub;
  readonly publisher: Publisher;
  readonly urls: UrlSigner;
  readonly verify: Verify;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: Limits;
  readonly heartbeatMs: number;
  /** Whether a ledger comes into being with its first commit. */
  readonly autoCreate: boolean;
  /** Name and version, as `hello` tells them. */
  readonly serverName: string;
  /** Makes names of sessions and of log lines. */
  readonly newId: () => string;
  /** Given when the server stops: waits end. */
  readonly stopping: AbortSignal;
  /** When connections send what they have gathered. */
  readonly flushTurn: FlushTurn;
}

interface AnyPeer {
  readonly session: Session | undefined;
  /** Puts a session in force. */
  adopt(session: Session): void;
  /** The server's base URL as this peer reaches it. */
  readonly baseUrl: string;
}

/** Who asks, over a socket. */
export interface SocketPeer extends AnyPeer {
  readonly via: "websocket";
  readonly watches: WatchDesk;
}

/** Who asks, over HTTP: nothing outlasts the request. */
export interface HttpPeer extends AnyPeer {
  readonly via: "http";
  /** Given when the peer is gone. */
  readonly signal: AbortSignal;
}

/** Who asks. */
export type Peer = SocketPeer | HttpPeer;

/** The watches of one socket. */
export interface WatchDesk {
  /** Begins a watch, in place of one of the same ledger; it is silent until it is started. */
  open(ledger: LedgerId): OpenedWatch;
  close(ledger: LedgerId): void;
  /** The listener of a ledger's watch, if there is one. */
  find(ledger: LedgerId): Listener | undefined;
}

/** A watch that waits for its answer to be sent. */
export interface OpenedWatch {
  /** Starts after the answer has been sent, behind the position that it tells. */
  startAfterReply(position: number, more: boolean): void;
  close(): void;
}

type PeerOf<M extends MethodName> = (typeof methods)[M]["over"] extends "websocket" ? SocketPeer
  : (typeof methods)[M]["over"] extends "http" ? HttpPeer
  : Peer;

/** Does what a row of the table says; form, right and transport have been checked. */
export type Handler<M extends MethodName> = (
  services: Services,
  params: Params<M>,
  peer: PeerOf<M>,
) => Answer<M> | Promise<Answer<M>>;

/** A result, or one that is encoded for several at once. */
type Answer<M extends MethodName> = Deep<Result<M>> | Encoded<Deep<Result<M>>>;

/** One handler a row. */
export type Handlers = { readonly [M in MethodName]: Handler<M> };

/** The session of a call that has been authorised. */
export function sessionOf(peer: Peer): Session {
  if (!peer.session) throw new TypeError("Cannot serve the call: nobody has been authenticated");
  return peer.session;
}
