/** The reference of live sync: from a raw commit on one socket to its notification on another. */

import { encodeCall, openSocket, type RawClient } from "../harness/raw_client.ts";
import { createCommits, smallPut } from "../harness/samples.ts";
import { serveCalls } from "../harness/worker.ts";
import type { Place } from "./reader.ts";

let writer: RawClient | undefined;
let next: () => Uint8Array = () => new Uint8Array();
let onNotice = () => {};

const calls = {
  open: async ({ url, ledger, token }: Place): Promise<void> => {
    const watcher = await openSocket({ url, token, onPush: () => onNotice() });
    await watcher.exchange(encodeCall("watch", { ledger }));
    writer = await openSocket({ url, token });
    const commits = createCommits(ledger, smallPut);
    next = () => encodeCall("commit", commits());
  },
  /** Gives the milliseconds from each commit to its notification. */
  run: async ({ count }: { readonly count: number }): Promise<readonly number[]> => {
    const times: number[] = [];
    while (times.length < count) {
      const frame = next();
      const noticed = new Promise<void>((resolve) => (onNotice = resolve));
      const start = performance.now();
      const acknowledged = writer?.exchange(frame);
      await noticed;
      times.push(performance.now() - start);
      await acknowledged;
    }
    return times;
  },
};

export type NoticePair = typeof calls;
await serveCalls(calls);
