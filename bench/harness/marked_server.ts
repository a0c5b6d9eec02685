/** The server within this process, put together as by `start_backend.ts`, with marks at its seams. */

import { paths, subprotocol } from "../../src/protocol/version.ts";
import { Buffer } from "node:buffer";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { WebSocket } from "ws";
import { Follower } from "../../src/backend/bus/follower.ts";
import { createCommitter } from "../../src/backend/committer.ts";
import { FlushTurn } from "../../src/backend/flush_turn.ts";
import type { CommitDesk, Services } from "../../src/backend/handler.ts";
import { Hub } from "../../src/backend/hub.ts";
import { silentLog } from "../../src/backend/log.ts";
import { publishAlone, publishTogether } from "../../src/backend/publisher.ts";
import { SharedReads } from "../../src/backend/shared_reads.ts";
import { UrlSigner } from "../../src/backend/signed_url.ts";
import { Socket } from "../../src/backend/socket.ts";
import type { Commit, MetaStore } from "../../src/backend/stores/meta_store.ts";
import { acceptSockets } from "../../src/backend/upgrade.ts";
import { systemClock } from "../../src/base/clock.ts";
import { defaultHeartbeatMs, defaultLimits } from "../../src/protocol/limits.ts";
import { createVerifier } from "../../src/sts/verify.ts";
import type { Mark, Moment } from "./moments.ts";
import type { OwnStores } from "./own_stores.ts";
import { eachContent, writerOf } from "./samples.ts";

/** Options of {@linkcode startMarkedServer}. */
export interface MarkedServerOptions extends OwnStores {
  /** The one ledger that is written to. */
  readonly ledger: string;
  readonly mark: Mark;
}

/** Starts it, for sockets alone; gives its URL. It ends with the process. */
export async function startMarkedServer(
  { stores: { metaStore, blobStore, directBlobs, bus }, key, ledger, mark }: MarkedServerOptions,
): Promise<string> {
  const hub = new Hub(metaStore.epoch);
  // The first to listen, so that it hears of a change right when the notification is made.
  hub.listen(ledger, {
    position: undefined,
    onChange: ({ frame }) => markEach(frame, mark, "encoded"),
    onMoved: () => {},
    onTold: () => {},
  });
  const follower = bus && new Follower({ hub, store: metaStore });
  if (follower) bus?.subscribe(follower);
  const publisher = bus && follower
    ? publishTogether(hub, bus, follower)
    : publishAlone(hub, metaStore);
  const committer = createCommitter({
    store: markStore(metaStore, mark),
    onCommitted: (commit, done) => publisher.committed(commit, done),
  });
  const stopping = new AbortController().signal;
  const services: Services = {
    metaStore,
    reads: new SharedReads(metaStore),
    blobStore,
    directBlobs,
    committer: markDesk(committer, mark),
    hub,
    publisher,
    urls: new UrlSigner(key.secret),
    verify: createVerifier([key]),
    clock: systemClock,
    log: silentLog,
    limits: defaultLimits,
    heartbeatMs: defaultHeartbeatMs,
    autoCreate: true,
    serverName: "hearth",
    newId: () => crypto.randomUUID(),
    stopping,
    flushTurn: new FlushTurn(),
  };
  const server = createServer();
  acceptSockets(server, {
    isAllowed: () => true,
    stopping,
    maxBytes: defaultLimits.messageBytes,
    doors: new Map([[paths.sync, {
      subprotocol,
      onSocket: (socket, { host }) => {
        markSocket(socket, mark);
        new Socket(services, socket, `http://${host}`, () => {});
      },
    }]]),
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  // A server that listens on a port has an address of this kind.
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Marks the commit of each content in a message. */
export function markEach(
  { buffer, byteOffset, byteLength }: Uint8Array,
  mark: Mark,
  moment: Moment,
): void {
  eachContent(Buffer.from(buffer, byteOffset, byteLength), (writer) => mark(writer, moment));
}

function markStore(store: MetaStore, mark: Mark): Pick<MetaStore, "commit" | "batchesAtOnce"> {
  return {
    batchesAtOnce: store.batchesAtOnce,
    commit: async (commits) => {
      for (const commit of commits) markCommit(commit, mark, "begun");
      const outcomes = await store.commit(commits);
      for (const commit of commits) markCommit(commit, mark, "stored");
      return outcomes;
    },
  };
}

function markDesk(desk: CommitDesk, mark: Mark): CommitDesk {
  return {
    commit: (commit) => {
      markCommit(commit, mark, "checked");
      return desk.commit(commit);
    },
  };
}

function markCommit({ metas }: Commit, mark: Mark, moment: Moment): void {
  for (const { data } of metas) mark(writerOf(data), moment);
}

/** A socket on which commits come is its writer's; on one without, all that is sent is for a watcher. */
function markSocket(socket: WebSocket, mark: Mark): void {
  let writer: number | undefined;
  const markMessage = (message: Uint8Array, toWriter: Moment, toWatcher: Moment) => {
    if (writer === undefined) markEach(message, mark, toWatcher);
    else mark(writer, toWriter);
  };
  // Ahead of the server's own listener.
  socket.on("message", (data) => {
    // `ws` gives one Buffer a message, as long as its `binaryType` is left alone.
    eachContent(data as Buffer, (found) => {
      writer = found;
      mark(found, "received");
    });
  });
  const send = socket.send.bind(socket);
  // The server uses this form of it alone.
  socket.send = (message: Uint8Array) => {
    markMessage(message, "replying", "passing on");
    send(message);
    markMessage(message, "replied", "passed on");
  };
}
