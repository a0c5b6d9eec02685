/** Puts the server together on given stores, lets it listen, and takes it down again kindly. */

import { createAdaptorServer } from "@hono/node-server";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type Clock, pause, systemClock } from "../base/clock.ts";
import { defaultHeartbeatMs, defaultLimits, type Limits } from "../protocol/limits.ts";
import { paths, subprotocol } from "../protocol/version.ts";
import type { VerifyFireproof } from "../sts/fireproof_identity.ts";
import type { Verify } from "../sts/verify.ts";
import { createApp } from "./app.ts";
import type { Bus } from "./bus/bus.ts";
import { Follower } from "./bus/follower.ts";
import { type Connection, Connections } from "./connections.ts";
import { createCommitter } from "./committer.ts";
import { createFireproofDoor } from "./fireproof/door.ts";
import { paths as fireproofPaths } from "./fireproof/paths.ts";
import { FlushTurn } from "./flush_turn.ts";
import type { Services } from "./handler.ts";
import { Hub } from "./hub.ts";
import { type Log, silentLog } from "./log.ts";
import { isAllowedOrigin } from "./origins.ts";
import { publishAlone, publishTogether } from "./publisher.ts";
import { SharedReads } from "./shared_reads.ts";
import { UrlSigner } from "./signed_url.ts";
import { Socket } from "./socket.ts";
import { type BlobStore, maxDatabaseBlobBytes } from "./stores/blob_store.ts";
import type { DirectBlobs } from "./stores/direct_blob_store.ts";
import type { MetaStore } from "./stores/meta_store.ts";
import { acceptSockets, type SocketDoor } from "./upgrade.ts";

/** What {@linkcode startBackend} works with. */
export interface BackendDeps {
  readonly metaStore: MetaStore;
  readonly blobStore: BlobStore;
  /**
   * Signs requests to the blob store, when clients may send them to it themselves. Blobs that it keeps
   * are then too large to travel inside a commit.
   *
   * @default they go through the server
   */
  readonly directBlobs?: DirectBlobs | undefined;
  readonly verify: Verify;
  /** Checks tokens of the stock client. @default its protocol is not served */
  readonly verifyFireproof?: VerifyFireproof | undefined;
  /** The secret from which the key of signed URLs is derived. */
  readonly urlSecret: Uint8Array;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** @default how each client names the server in its request */
  readonly publicUrl?: string | undefined;
  /** @default the server's own origin and localhost */
  readonly origins?: readonly string[] | undefined;
  /**
   * How other instances on the same database are told what happens here, and this one what happens
   * there. Without one this instance must be the only one.
   */
  readonly bus?: Bus | undefined;
  /** Longest time after which a change is found that the bus has lost. @default 30000 */
  readonly busPollMs?: number | undefined;
  /** Whether a ledger comes into being with its first commit. @default true */
  readonly autoCreate?: boolean | undefined;
  /** As `hello` tells it. @default "hearth" */
  readonly serverName?: string | undefined;
  /** @default defaultLimits */
  readonly limits?: Limits | undefined;
  /** @default 10000 */
  readonly heartbeatMs?: number | undefined;
  /** Most connections at once; more are refused before they are read. @default 20000 */
  readonly maxConnections?: number | undefined;
  /** @default nothing is logged */
  readonly log?: Log | undefined;
  /** @default the machine's */
  readonly clock?: Clock | undefined;
  /** At least 0, below 1. @default Math.random */
  readonly random?: (() => number) | undefined;
}

/** A server that listens. Stores and bus stay their maker's: stop it before they are closed. */
export interface RunningBackend {
  /** Where it listens. */
  readonly url: string;
  /** Answers what was asked, tells every client when to come back, and ends, within 10 s. */
  stop(): Promise<void>;
}

/** Above the limit that clients are told, so that they hear an error rather than a bare close. */
const slackBytes = 64 << 10;
/** Clients come back spread over this time, so that they do not come all at once. */
const resumeSpreadMs = 3_000;
/** How often connections are looked at that fell idle while the server stops. */
const sweepMs = 100;
/** What is still open then is cut, so that the whole stop stays below 10 s. */
const stopMs = 8_000;

/** Starts a server. */
export async function startBackend(deps: BackendDeps): Promise<RunningBackend> {
  const { metaStore, bus, directBlobs, log = silentLog } = deps;
  const { clock = systemClock, random = Math.random } = deps;
  const limits = limitsOf(deps);
  const stopping = new AbortController();
  const hub = new Hub(metaStore.epoch);
  const follower = bus &&
    new Follower({ hub, store: metaStore, pollMs: deps.busPollMs, log, clock, random });
  const unsubscribe = follower && bus?.subscribe(follower);
  const publisher = bus && follower
    ? publishTogether(hub, bus, follower)
    : publishAlone(hub, metaStore);
  const committer = createCommitter({
    store: metaStore,
    onCommitted: (commit, done) => publisher.committed(commit, done),
  });
  const services: Services = {
    metaStore,
    reads: new SharedReads(metaStore, { clock }),
    blobStore: deps.blobStore,
    directBlobs,
    committer,
    hub,
    publisher,
    urls: new UrlSigner(deps.urlSecret),
    verify: deps.verify,
    clock,
    log,
    limits,
    heartbeatMs: deps.heartbeatMs ?? defaultHeartbeatMs,
    autoCreate: deps.autoCreate ?? true,
    serverName: deps.serverName ?? "hearth",
    newId: () => crypto.randomUUID(),
    stopping: stopping.signal,
    flushTurn: new FlushTurn(),
  };
  let listening = "";
  const toBaseUrl = (host: string | undefined): string =>
    deps.publicUrl ?? (host && /^[\w.:[\]-]{1,255}$/.test(host) ? `http://${host}` : listening);
  const isAllowed = (origin: string | undefined, host: string | undefined): boolean =>
    isAllowedOrigin(origin, host, deps.origins ?? []);
  const fireproof = deps.verifyFireproof &&
    createFireproofDoor(services, deps.verifyFireproof, deps.urlSecret);
  const app = createApp({ services, fireproof, isAllowed, toBaseUrl });
  const server = createAdaptorServer({
    fetch: app.fetch,
    overrideGlobalObjects: false,
    serverOptions: {
      headersTimeout: 10_000,
      keepAliveTimeout: 15_000,
      // Bodies have a watch of their own (http_body.ts): this one would cut honest slow uploads.
      requestTimeout: 0,
    },
  });
  const sockets = new Connections<ServedSocket>(clock);
  const doors = new Map<string, SocketDoor>();
  doors.set(paths.sync, {
    subprotocol,
    onSocket: (webSocket, { host }) => {
      const ended = () => sockets.delete(socket);
      const socket = new Socket(services, webSocket, toBaseUrl(host), ended);
      sockets.add(socket);
    },
  });
  if (fireproof) {
    doors.set(fireproofPaths.socket, {
      subprotocol: undefined,
      onSocket: (webSocket, { host, query }) => {
        const address = { baseUrl: toBaseUrl(host), query };
        const socket = fireproof.accept(webSocket, address, () => sockets.delete(socket));
        sockets.add(socket);
      },
    });
  }
  acceptSockets(server, {
    isAllowed,
    stopping: stopping.signal,
    maxBytes: limits.messageBytes + slackBytes,
    doors,
  });
  let requests = 0;
  server.on("request", (_request: IncomingMessage, response: ServerResponse) => {
    requests++;
    response.once("close", () => requests--);
  });
  server.maxConnections = deps.maxConnections ?? 20_000;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(deps.port, deps.host, () => {
      server.off("error", reject);
      resolve();
    });
  });
  listening = toUrl(server.address());
  const resumed = fireproof?.resume();

  let stopped: Promise<void> | undefined;
  return {
    url: deps.publicUrl ?? listening,
    stop: () => stopped ??= stop(),
  };

  async function stop(): Promise<void> {
    stopping.abort();
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    const closing = [...sockets].map((socket) =>
      socket.stop(Math.floor(random() * resumeSpreadMs))
    );
    const kind = Promise.all([closed, ...closing]).then(() => committer[Symbol.asyncDispose]());
    const ended = new AbortController();
    await Promise.race([
      kind.finally(() => ended.abort()),
      pause(clock, stopMs, ended.signal),
      sweepIdle(ended.signal),
    ]);
    for (const socket of sockets) socket.terminate();
    cutConnections();
    await resumed;
    await committer[Symbol.asyncDispose]();
    unsubscribe?.();
    await follower?.[Symbol.asyncDispose]();
  }

  /** A connection on which nothing is asked any more holds up nobody: on Deno it would stay open. */
  async function sweepIdle(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (requests === 0 && sockets.size === 0) cutConnections();
      await pause(clock, sweepMs, signal);
    }
  }

  function cutConnections(): void {
    if ("closeAllConnections" in server) server.closeAllConnections();
  }
}

/** A socket of either door. */
interface ServedSocket extends Connection {
  stop(resumeAfterMs: number): Promise<void>;
  terminate(): void;
}

function limitsOf({ limits = defaultLimits, directBlobs }: BackendDeps): Limits {
  const inlineBlobBytes = directBlobs ? maxDatabaseBlobBytes : Infinity;
  return { ...limits, inlineBlobBytes: Math.min(limits.inlineBlobBytes, inlineBlobBytes) };
}

function toUrl(address: AddressInfo | string | null): string {
  if (address === null || typeof address === "string") throw new TypeError("No port was taken");
  const host = address.family === "IPv6" ? `[${address.address}]` : address.address;
  return `http://${host}:${address.port}`;
}
