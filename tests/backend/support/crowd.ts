/** Many connections to one server, without a network: real sockets of ours on links that a test holds. */

import { EventEmitter } from "node:events";
import type { WebSocket } from "ws";
import { createCommitter } from "../../../src/backend/committer.ts";
import { FlushTurn } from "../../../src/backend/flush_turn.ts";
import type { Services } from "../../../src/backend/handler.ts";
import { Hub } from "../../../src/backend/hub.ts";
import { silentLog } from "../../../src/backend/log.ts";
import { publishAlone } from "../../../src/backend/publisher.ts";
import { SharedReads } from "../../../src/backend/shared_reads.ts";
import { UrlSigner } from "../../../src/backend/signed_url.ts";
import { Socket } from "../../../src/backend/socket.ts";
import { createMemoryBlobStore } from "../../../src/backend/stores/memory.ts";
import type { MetaStore } from "../../../src/backend/stores/meta_store.ts";
import { decodeFrames, encodeRequest, type Reply } from "../../../src/protocol/frames.ts";
import { defaultHeartbeatMs, defaultLimits } from "../../../src/protocol/limits.ts";
import type { Notice } from "../../../src/protocol/methods.ts";
import type { Changes } from "../../../src/protocol/model.ts";
import { parseNotice, parseResult } from "../../../src/protocol/parse.ts";
import { eventually, type Wakes } from "../../harness/eventually.ts";
import { createFakeClock, type FakeClock } from "../../harness/fake_clock.ts";

/** A server and its connections; every message that is sent is an event. */
export interface Crowd extends Wakes {
  readonly services: Services;
  readonly clock: FakeClock;
  /** Messages to all connections, in the order in which they were sent. */
  readonly sent: readonly Sent[];
  /** Opens connections that have said hello. */
  connect(count: number): Promise<readonly Member[]>;
}

/** A message to somebody. */
export interface Sent {
  readonly to: Member;
  readonly message: Uint8Array;
}

/** One connection. */
export interface Member {
  /** Bytes that its link claims to hold. */
  backlog: number;
  readonly messages: readonly Uint8Array[];
  readonly isClosed: boolean;
  /** Asks to watch a ledger. */
  watch(ledger: string, cursor?: string): void;
  /** The reply to the watch, once it is there. */
  reply(): Reply | undefined;
  /** What the reply to the watch says. */
  answer(): Changes;
  /** The notices that came after it. */
  notices(): readonly Notice<"metas">[];
}

/** Starts one, on a database, whose tokens are for these ledgers. */
export function startCrowd(metaStore: MetaStore, ledgers: readonly string[]): Crowd {
  const clock = createFakeClock();
  const hub = new Hub(metaStore.epoch);
  const publisher = publishAlone(hub, metaStore);
  const committer = createCommitter({
    store: metaStore,
    onCommitted: (commit, done) => publisher.committed(commit, done),
  });
  let names = 0;
  const services: Services = {
    metaStore,
    reads: new SharedReads(metaStore, { clock }),
    blobStore: createMemoryBlobStore(),
    directBlobs: undefined,
    committer,
    hub,
    publisher,
    urls: new UrlSigner(new Uint8Array(32)),
    verify: () =>
      Promise.resolve({
        subject: "alice",
        tokenId: "any",
        issuedAt: 0,
        expiresAt: clock.now() + 3_600_000,
        grants: new Map(ledgers.map((it) => [it, "write"])),
      }),
    clock,
    log: silentLog,
    limits: defaultLimits,
    heartbeatMs: defaultHeartbeatMs,
    autoCreate: true,
    serverName: "hearth",
    newId: () => `${++names}`,
    stopping: new AbortController().signal,
    flushTurn: new FlushTurn(),
  };
  const sent: Sent[] = [];
  const listeners = new Set<() => void>();
  const onSent = (message: Sent) => {
    sent.push(message);
    for (const listener of listeners) listener();
  };
  return {
    services,
    clock,
    sent,
    onEvent: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    connect: async (count) => {
      const members = Array.from({ length: count }, () => new FakeLink(services, onSent));
      for (const member of members) member.ask("hello", { version: 1, token: "any" });
      await eventually(() => {
        if (members.some(({ messages }) => messages.length === 0)) throw new Error("no hello");
      }, { everyMs: 1 });
      return members;
    },
  };
}

const helloId = 1;
const watchId = 2;

/** The slice of a `ws` socket that the server uses. */
class FakeLink extends EventEmitter implements Member {
  readonly OPEN = 1;
  readyState = 1;
  backlog = 0;
  readonly messages: Uint8Array[] = [];
  readonly #onSent: (sent: Sent) => void;

  constructor(services: Services, onSent: (sent: Sent) => void) {
    super();
    this.#onSent = onSent;
    // It has what the server uses of one, and no more.
    new Socket(services, this as unknown as WebSocket, "http://127.0.0.1", () => {});
  }

  get bufferedAmount(): number {
    return this.backlog;
  }

  get isClosed(): boolean {
    return this.readyState !== this.OPEN;
  }

  send(message: Uint8Array): void {
    this.messages.push(message);
    this.#onSent({ to: this, message });
  }

  close(): void {
    this.readyState = 3;
    queueMicrotask(() => this.emit("close"));
  }

  terminate(): void {
    this.close();
  }

  pause(): void {}

  resume(): void {}

  ping(): void {}

  ask(method: "hello" | "watch", params: unknown): void {
    const request = encodeRequest(method === "hello" ? helloId : watchId, method, params);
    this.emit("message", request, true);
  }

  watch(ledger: string, cursor?: string): void {
    this.ask("watch", { ledger, ...(cursor !== undefined && { cursor }) });
  }

  reply(): Reply | undefined {
    return this.#frames().flatMap((it) => it.kind === "reply" ? [it] : [])
      .find(({ id }) => id === watchId);
  }

  answer(): Changes {
    return parseResult("watch", this.reply()?.result);
  }

  notices(): readonly Notice<"metas">[] {
    return this.#frames().flatMap((it) =>
      it.kind === "notification" && it.method === "metas" ? [parseNotice("metas", it.params)] : []
    );
  }

  #frames() {
    return this.messages.flatMap((message) => decodeFrames(message));
  }
}
