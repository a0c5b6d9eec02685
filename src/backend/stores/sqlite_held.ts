/** Metas that the SQLite store holds back from readers. */

import { type Meta, splitLedger } from "../../protocol/model.ts";
import type { LedgerId } from "./meta_store.ts";
import { textOf } from "./rows.ts";
import type { Statements } from "./sqlite_sql.ts";

/** What `MetaStore.hold` does, within a transaction. */
export function holdMetas(
  sql: Statements,
  ledger: LedgerId,
  metas: readonly Meta[],
  limit: number,
): boolean {
  const names = splitLedger(ledger);
  const held = new Set(sql.readHeld.all(...names).map((row) => textOf(row, "cid")));
  const fresh = metas.filter(({ cid }) => !held.has(cid));
  if (fresh.length > 0 && held.size >= limit) return false;
  for (const { cid, parents, blobs, data } of fresh) {
    const refs = blobs.map(({ store, cid }) => ({ store, cid }));
    sql.insertHeld.run(...names, cid, JSON.stringify(parents), JSON.stringify(refs), data);
  }
  return true;
}
