/** Sockets that are opened and then do nothing but listen. */

import { openPlainSocket } from "../harness/plain_socket.ts";
import { encodeCall, openSocket } from "../harness/raw_client.ts";
import { eachContent } from "../harness/samples.ts";
import { serveCalls } from "../harness/worker.ts";

/** What to open. */
export interface Crowd {
  readonly url: string;
  readonly count: number;
  /** What to watch, one by one and then again; a bare server is only connected to. */
  readonly places?: readonly { readonly ledger: string; readonly token: string }[];
}

/** What has come to the sockets that watch. One that is lost ends the process. */
export interface Heard {
  /** Sockets that the server has pinged. */
  readonly pinged: number;
  /** Commits that sockets were told of, of all sockets together. */
  readonly told: number;
}

/** Connections that are opened at the same time. */
const openedAtOnce = 50;

let pinged = 0;
let told = 0;

const calls = {
  open: async ({ url, count, places = [] }: Crowd): Promise<void> => {
    for (let opened = 0; opened < count; opened += openedAtOnce) {
      const some = Array.from({ length: Math.min(openedAtOnce, count - opened) }, async (_, at) => {
        const place = places[(opened + at) % places.length];
        if (!place) return void await openPlainSocket(url, () => {});
        await openWatcher(url, place);
      });
      await Promise.all(some);
    }
  },
  heard: (): Heard => ({ pinged, told }),
};

async function openWatcher(
  url: string,
  { ledger, token }: { readonly ledger: string; readonly token: string },
): Promise<void> {
  let pings = 0;
  const client = await openSocket({
    url,
    token,
    onPush: (message) => eachContent(message, () => told++),
    onPing: () => {
      if (pings++ === 0) pinged++;
    },
  });
  await client.exchange(encodeCall("watch", { ledger }));
}

export type IdleSockets = typeof calls;
await serveCalls(calls);
