/** Clients that commit in closed loops: each sends its next commit when the last is acknowledged. */

import { createCommits, smallPut } from "../harness/samples.ts";
import { encodeCall, openHttp, openSocket, type RawClient } from "../harness/raw_client.ts";
import { serveCalls } from "../harness/worker.ts";

/** A group of clients to open. */
export interface Group {
  readonly name: string;
  readonly url: string;
  readonly via: "websocket" | "http";
  /** One entry a client. */
  readonly clients: readonly { readonly ledger: string; readonly token: string }[];
}

/** A stretch of work. */
export interface Run {
  readonly name: string;
  readonly ms: number;
}

interface Committer {
  readonly client: RawClient;
  readonly next: () => Uint8Array;
  /** Encoded before the clock runs, so that the client is not what is measured. */
  ready: Uint8Array[];
}

/** Commits per second, of all clients together, for which frames are made beforehand. */
const expectedRate = 8000;

const groups = new Map<string, readonly Committer[]>();

const calls = {
  open: async ({ name, url, via, clients }: Group): Promise<void> => {
    const committers = await Promise.all(clients.map(async ({ ledger, token }) => {
      const next = createCommits(ledger, smallPut);
      const client = via === "http" ? openHttp({ url, token }) : await openSocket({ url, token });
      return { client, next: () => encodeCall("commit", next()), ready: [] };
    }));
    groups.set(name, committers);
  },
  /** Commits for so long; gives acknowledged commits per second. */
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
  close: ({ name }: { name: string }): void => {
    for (const { client } of groups.get(name) ?? []) client.close();
    groups.delete(name);
  },
};

async function commitUntil({ client, next, ready }: Committer, end: number): Promise<number> {
  let count = 0;
  for (; performance.now() < end; count++) await client.exchange(ready.pop() ?? next());
  return count;
}

export type CommitClients = typeof calls;
await serveCalls(calls);
