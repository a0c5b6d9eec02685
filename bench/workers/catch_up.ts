/** One client that comes back again and again: what follows its cursor, in one answer. */

import { encodeCall, openSocket, type RawClient } from "../harness/raw_client.ts";
import { serveCalls } from "../harness/worker.ts";
import type { FilledPlace } from "./filled_server.ts";

const clients = new Map<string, RawClient>();

const calls = {
  open: async ({ url, token, ledger }: FilledPlace & { readonly url: string }): Promise<void> => {
    clients.set(ledger, await openSocket({ url, token }));
  },
  /** Gives the mean milliseconds from the call of `watch` to its answer. */
  run: async (
    { ledger, cursor, times }: FilledPlace & { readonly times: number },
  ): Promise<number> => {
    const client = clients.get(ledger);
    if (!client) throw new Error(`Cannot catch up: no socket is open for ${ledger}`);
    const watch = encodeCall("watch", { ledger, cursor });
    const unwatch = encodeCall("unwatch", { ledger });
    let ms = 0;
    for (let time = 0; time < times; time++) {
      const start = performance.now();
      await client.exchange(watch);
      ms += performance.now() - start;
      await client.exchange(unwatch);
    }
    return ms / times;
  },
};

export type CatchUp = typeof calls;
await serveCalls(calls);
