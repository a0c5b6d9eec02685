/**
 * Server, writers and a watcher in one process, so that one clock times the whole way of a commit:
 * real sockets, real stores, the package's own client; and a bare socket as reference.
 */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { WebSocketServer } from "ws";
import type { CommitInput } from "../../src/client/mod.ts";
import { createClient } from "../../src/client/connect.ts";
import { createDeps } from "../../src/client/deps.ts";
import type { CommitParams } from "../../src/protocol/method_table.ts";
import type { Dialer } from "../../src/transport/transport.ts";
import { markEach, startMarkedServer } from "../harness/marked_server.ts";
import { type Mark, type Passage, Passages } from "../harness/moments.ts";
import { openOwnStores, type StorePlace } from "../harness/own_stores.ts";
import { openPlainSocket } from "../harness/plain_socket.ts";
import { createCommits, smallPut, writerOf } from "../harness/samples.ts";
import { issueWriteToken } from "../harness/tokens.ts";
import { serveCalls } from "../harness/worker.ts";

/** What to open. */
export interface StagesScene extends StorePlace {
  readonly writers: number;
}

interface Writer {
  /** Makes a commit for {@linkcode commit}, outside of what is timed. */
  next(): CommitInput;
  /** Commits, and resolves when the writer knows and the watcher has heard. */
  commit(commit: CommitInput): Promise<Passage>;
}

const ledger = "bench/stages";
/** About the bytes of a message with one commit of {@linkcode smallPut}. */
const messageBytes = 1_800;

const passages = new Passages();
const hearing = new Map<number, () => void>();
let writers: readonly Writer[] = [];
let exchange: () => Promise<void> = () => Promise.resolve();

const calls = {
  open: async ({ writers: count, ...place }: StagesScene): Promise<void> => {
    const own = await openOwnStores(place);
    const url = await startMarkedServer({ ...own, ledger, mark: passages.mark });
    const token = await issueWriteToken(own.key, ledger);
    const open = () => {
      const deps = createDeps(url);
      const websocket = markDialer(deps.websocket, passages.mark);
      return createClient({ url, token, transport: "websocket" }, { ...deps, websocket });
    };
    await new Promise<void>((resolve) =>
      open().watch(ledger, {
        onLive: (live) => live && resolve(),
        onChanges: ({ metas }) => {
          for (const { data } of metas) {
            const writer = writerOf(data);
            passages.mark(writer, "heard");
            hearing.get(writer)?.();
          }
        },
      })
    );
    writers = Array.from({ length: count }, (_, at) => createWriter(open(), at));
    exchange = await openEcho();
  },
  /** Lets so many writers commit so often, each its next when the last was heard. */
  run: async (
    { writers: count, commits }: { readonly writers: number; readonly commits: number },
  ): Promise<readonly Passage[]> => {
    const found: Passage[] = [];
    const ready = writers.slice(0, count).map((writer) => ({
      writer,
      inputs: Array.from({ length: commits }, () => writer.next()),
    }));
    await Promise.all(ready.map(async ({ writer, inputs }) => {
      for (const input of inputs) found.push(await writer.commit(input));
    }));
    return found;
  },
  /** Milliseconds of so many messages to a bare socket and back. */
  echo: async ({ count }: { readonly count: number }): Promise<readonly number[]> => {
    const times: number[] = [];
    while (times.length < count) {
      const start = performance.now();
      await exchange();
      times.push(performance.now() - start);
    }
    return times;
  },
};

function createWriter(client: ReturnType<typeof createClient>, writer: number): Writer {
  const make = createCommits(ledger, smallPut, writer);
  return {
    next: () => toInput(make()),
    commit: async (commit) => {
      passages.begin(writer);
      const heard = new Promise<void>((resolve) => hearing.set(writer, resolve));
      passages.mark(writer, "called");
      await client.commit(commit);
      passages.mark(writer, "acknowledged");
      await heard;
      return passages.end(writer);
    },
  };
}

function toInput({ blobs = [], ...commit }: CommitParams): CommitInput {
  return { ...commit, blobs: blobs.flatMap((it) => it.bytes ? [{ ...it, bytes: it.bytes }] : []) };
}

function markDialer(dialer: Dialer, mark: Mark): Dialer {
  return {
    open: async (events, options) => {
      const transport = await dialer.open(events, options);
      const send = transport.send.bind(transport);
      transport.send = (message) => {
        markEach(message, mark, "sending");
        send(message);
        markEach(message, mark, "sent");
      };
      return transport;
    },
  };
}

/** A bare server that sends back what it gets, and a bare client: gives one exchange between them. */
async function openEcho(): Promise<() => Promise<void>> {
  const http = createServer();
  const server = new WebSocketServer({ server: http, perMessageDeflate: false });
  server.on("connection", (socket) => socket.on("message", (data) => socket.send(data)));
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  // A server that listens on a port has an address of this kind.
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  let onEcho = () => {};
  const socket = await openPlainSocket(url, () => onEcho());
  const message = new Uint8Array(messageBytes);
  return () =>
    new Promise((resolve) => {
      onEcho = resolve;
      socket.send(message);
    });
}

export type Stages = typeof calls;
await serveCalls(calls);
