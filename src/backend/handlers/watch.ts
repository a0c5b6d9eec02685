/** `watch` and `unwatch`: what follows a cursor, then everything that happens. */

import { readFrom } from "../changes.ts";
import type { Handler } from "../handler.ts";

/** Answers with what follows the cursor; the rest follows as notices, behind the answer. */
export const watch: Handler<"watch"> = async ({ metaStore }, params, { watches }) => {
  const { ledger, cursor, inventory } = params;
  // Opened before the reading: what happens meanwhile makes it catch up, so there is no seam.
  const opened = watches.open(ledger);
  try {
    const { changes, seq } = await readFrom(metaStore, ledger, { cursor, inventory });
    opened.startAfterReply(seq, changes.more);
    return changes;
  } catch (error) {
    opened.close();
    throw error;
  }
};

/** Ends a watch; one that is not there is ended already. */
export const unwatch: Handler<"unwatch"> = (_services, { ledger }, { watches }) => {
  watches.close(ledger);
  return {};
};
