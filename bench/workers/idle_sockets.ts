/** Sockets that are opened and then do nothing. */

import { openPlainSocket } from "../harness/plain_socket.ts";
import { encodeCall, openSocket } from "../harness/raw_client.ts";
import { serveCalls } from "../harness/worker.ts";

/** What to open. */
export interface Crowd {
  readonly url: string;
  readonly count: number;
  /** What to watch, one by one and then again; a bare server is only connected to. */
  readonly places?: readonly { readonly ledger: string; readonly token: string }[];
}

/** Connections that are opened at the same time. */
const openedAtOnce = 50;

const calls = {
  open: async ({ url, count, places = [] }: Crowd): Promise<void> => {
    for (let opened = 0; opened < count; opened += openedAtOnce) {
      const some = Array.from({ length: Math.min(openedAtOnce, count - opened) }, async (_, at) => {
        const place = places[(opened + at) % places.length];
        if (!place) return void await openPlainSocket(url, () => {});
        const client = await openSocket({ url, token: place.token });
        await client.exchange(encodeCall("watch", { ledger: place.ledger }));
      });
      await Promise.all(some);
    }
  },
};

export type IdleSockets = typeof calls;
await serveCalls(calls);
