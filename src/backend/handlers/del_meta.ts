/** `delMeta`: takes metas out of the heads; readers are told the resulting heads. */

import { formatCursor } from "../../protocol/cursor.ts";
import type { Handler } from "../handler.ts";

/** Takes metas out. */
export const delMeta: Handler<"delMeta"> = async ({ metaStore, publisher }, { ledger, metas }) => {
  const seq = await metaStore.deleteMetas(ledger, metas);
  await publisher.deleted(ledger, seq);
  return { cursor: formatCursor({ epoch: metaStore.epoch, seq }) };
};
