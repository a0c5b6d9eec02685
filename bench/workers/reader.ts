/** Reads a whole ledger as a fresh client does, and plain bytes over HTTP as its reference. */

import { get } from "node:http";
import process from "node:process";
import { connect } from "../../src/client/mod.ts";
import { encodeCall, openSocket } from "../harness/raw_client.ts";
import { createCommits } from "../harness/samples.ts";
import { serveCalls } from "../harness/worker.ts";

/** Where a ledger is. */
export interface Place {
  readonly url: string;
  readonly ledger: string;
  readonly token: string;
}

/** What a read took. */
export interface ReadTimes {
  readonly ms: number;
  /** Processor time of this process meanwhile, all its threads together. */
  readonly cpuMs: number;
}

const metaBytes = 300;

const calls = {
  /** Commits so many times, each with one blob. */
  fill: async (
    { url, token, ledger, commits, blobBytes }: Place & { commits: number; blobBytes: number },
  ): Promise<void> => {
    const client = await openSocket({ url, token });
    const next = createCommits(ledger, { metaBytes, blobBytes });
    for (let at = 0; at < commits; at++) await client.exchange(encodeCall("commit", next()));
    client.close();
  },
  /** Connects, reads heads and all blobs. */
  read: async ({ url, token, ledger, blobs }: Place & { blobs: number }): Promise<ReadTimes> => {
    const cpu = process.cpuUsage();
    const start = performance.now();
    await using client = connect({ url, token, transport: "websocket" });
    const { promise, resolve, reject } = Promise.withResolvers<ReadTimes>();
    client.watch(ledger, {
      onChanges: async ({ inventory = [] }) => {
        let found = 0;
        await client.getBlobs(ledger, inventory, () => void found++);
        const ms = performance.now() - start;
        const { user, system } = process.cpuUsage(cpu);
        if (found === blobs) resolve({ ms, cpuMs: (user + system) / 1000 });
        else reject(new Error(`Cannot measure: ${found} of ${blobs} blobs came`));
      },
      onError: reject,
    }, { inventory: true });
    return await promise;
  },
  /** Reads a URL over a connection of its own; gives the milliseconds. */
  get: ({ url }: { readonly url: string }): Promise<number> => {
    const start = performance.now();
    return new Promise((resolve, reject) => {
      get(url, { agent: false }, (response) => {
        response.on("data", () => {});
        response.on("error", reject);
        response.on("end", () => resolve(performance.now() - start));
      }).on("error", reject);
    });
  },
};

export type Reader = typeof calls;
await serveCalls(calls);
