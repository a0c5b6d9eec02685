/** `poll`: what `watch` is for HTTP. A poll that waits is a watcher. */

import { pause } from "../../base/clock.ts";
import { readFrom, type Stretch } from "../changes.ts";
import type { Handler } from "../handler.ts";
import type { Told } from "../hub.ts";

/** Answers at once if there is something, else when something happens, or with nothing. */
export const poll: Handler<"poll"> = async (services, params, peer) => {
  const { ledger, cursor, inventory, waitMs } = params;
  const told: Told[] = [];
  const woken = new AbortController();
  const stopListening = services.hub.listen(ledger, {
    onChange: () => woken.abort(),
    onTold: (it) => {
      // At the bound later ones are dropped: ephemeral messages are not worth a longer queue.
      if (told.length < maxTold) told.push(it);
      woken.abort();
    },
  });
  try {
    const read = () => readFrom(services.metaStore, ledger, { cursor, inventory });
    let stretch = await read();
    if (waitMs > 0 && isEmpty(stretch)) {
      await pause(services.clock, waitMs, woken.signal, peer.signal, services.stopping);
      stretch = await read();
    }
    return { changes: stretch.changes, told };
  } finally {
    stopListening();
  }
};

const maxTold = 100;

function isEmpty({ changes }: Stretch): boolean {
  return !changes.reset && changes.metas.length === 0;
}
