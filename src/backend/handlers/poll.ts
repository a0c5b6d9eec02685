/** `poll`: what `watch` is for HTTP. A poll that waits is a watcher. */

import { pause } from "../../base/clock.ts";
import type { Stretch } from "../changes.ts";
import type { Handler } from "../handler.ts";
import type { Told } from "../hub.ts";

/** Answers at once if there is something, else when something happens, or with nothing. */
export const poll: Handler<"poll"> = async (services, params, peer) => {
  const { ledger, cursor, inventory, waitMs } = params;
  const told: Told[] = [];
  const woken = new AbortController();
  let position: number | undefined;
  let head = 0;
  const stopListening = services.hub.listen(ledger, {
    // It takes no frames: what it is told, it reads.
    position: undefined,
    onChange: () => woken.abort(),
    onMoved: (seq) => {
      head = Math.max(head, seq);
      if (position !== undefined && head > position) woken.abort();
    },
    onTold: (it) => {
      // At the bound later ones are dropped: ephemeral messages are not worth a longer queue.
      if (told.length < maxTold) told.push(it);
      woken.abort();
    },
  });
  try {
    const read = () => services.reads.from(ledger, { cursor, inventory });
    let stretch: Stretch = await read();
    position = stretch.seq;
    if (head > position) woken.abort();
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
