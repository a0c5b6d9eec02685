/** Clients that write in closed loops: each sends its next commit when it knows of the last. */

import type { Buffer } from "node:buffer";
import { createUpdates, openPeer, type PeerKind } from "../harness/peer_client.ts";
import { encodeCall, openHttp, openSocket } from "../harness/raw_client.ts";
import { createCommits, eachContent, type SampleSizes, smallPut } from "../harness/samples.ts";
import { serveCalls } from "../harness/worker.ts";

/** A group of clients to open. */
export interface Group {
  readonly name: string;
  readonly url: string;
  /** A transport of Hearth, or a peer whose documents have the ledgers' names. */
  readonly via: "websocket" | "http" | PeerKind;
  /** One entry a client. */
  readonly clients: readonly Place[];
  /** Sizes of a commit; of a peer's update `metaBytes` alone. @default smallPut */
  readonly sizes?: SampleSizes;
  /** On Hearth's socket: every client is told what the others write, as it always is by peers. */
  readonly watching?: boolean;
  /** A client's commit is over only when one more client, that of the first entry, has it too. */
  readonly heard?: boolean;
}

/** A ledger, and who may write to it. */
interface Place {
  readonly ledger: string;
  readonly token: string;
}

/** A stretch of work. */
export interface Run {
  readonly name: string;
  readonly ms: number;
}

interface Committer {
  /** Sends one commit and resolves when it is over. */
  commit(frame: Uint8Array): Promise<unknown>;
  readonly next: () => Uint8Array;
  /** Encoded before the clock runs, so that the client is not what is measured. */
  ready: Uint8Array[];
}

/** Commits per second, of all clients together, for which frames are made beforehand. */
const expectedRate = 16_000;

const groups = new Map<string, readonly Committer[]>();

const calls = {
  open: async (group: Group): Promise<void> => {
    const { clients: [first], heard = false } = group;
    const hearing = new Map<number, () => void>();
    const listener = heard && first && await connect(group, first, (message) => {
      eachContent(message, (writer) => hearing.get(writer)?.());
    });
    const committers = await Promise.all(group.clients.map(async (place, writer) => {
      const { exchange } = await connect(group, place);
      const commit = async (frame: Uint8Array): Promise<void> => {
        const heard = new Promise<void>((resolve) => hearing.set(writer, resolve));
        await Promise.all([exchange(frame), heard]);
      };
      const next = createFrames(group, place, writer);
      return { commit: listener ? commit : exchange, next, ready: [] };
    }));
    groups.set(group.name, committers);
  },
  /** Commits for so long; gives commits per second. */
  run: async ({ name, ms }: Run): Promise<number> => {
    const committers = groups.get(name) ?? [];
    const each = Math.ceil(expectedRate * ms / 1000 / committers.length);
    for (const committer of committers) {
      while (committer.ready.length < each) committer.ready.push(committer.next());
      // Taken from the end, which is cheaper; the order of making is the order of sending.
      committer.ready.reverse();
    }
    const start = performance.now();
    const counts = await Promise.all(committers.map((it) => commitUntil(it, start + ms)));
    const seconds = (performance.now() - start) / 1000;
    for (const committer of committers) committer.ready.reverse();
    return counts.reduce((sum, count) => sum + count, 0) / seconds;
  },
};

async function connect(
  { via, url, watching, heard }: Group,
  { ledger, token }: Place,
  onPush?: (message: Buffer) => void,
) {
  if (via === "http") return await openHttp({ url, token });
  if (via !== "websocket") return await openPeer({ kind: via, url, document: ledger }, onPush);
  const client = await openSocket({ url, token, ...(onPush ? { onPush } : {}) });
  if (watching || heard) await client.exchange(encodeCall("watch", { ledger }));
  return client;
}

function createFrames({ via, sizes = smallPut }: Group, { ledger }: Place, writer: number) {
  if (via !== "websocket" && via !== "http") {
    return createUpdates({ kind: via, document: ledger }, sizes.metaBytes, writer);
  }
  const next = createCommits(ledger, sizes, writer);
  return () => encodeCall("commit", next());
}

async function commitUntil({ commit, next, ready }: Committer, end: number): Promise<number> {
  let count = 0;
  for (; performance.now() < end; count++) await commit(ready.pop() ?? next());
  return count;
}

export type CommitClients = typeof calls;
await serveCalls(calls);
