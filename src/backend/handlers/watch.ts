/** `watch` and `unwatch`: what follows a cursor, then everything that happens. */

import type { Handler } from "../handler.ts";

/** Answers with what follows the cursor; the rest follows as notices, behind the answer. */
export const watch: Handler<"watch"> = async ({ reads }, params, { watches }) => {
  const { ledger, cursor, inventory } = params;
  // Opened before the reading: what happens meanwhile makes it catch up, so there is no seam.
  const opened = watches.open(ledger);
  try {
    const { answer, changes, seq } = await reads.from(ledger, { cursor, inventory });
    opened.startAfterReply(seq, changes.more);
    return answer;
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
