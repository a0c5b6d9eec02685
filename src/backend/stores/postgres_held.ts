/** Metas that the Postgres store holds back from readers. */

import { Buffer } from "node:buffer";
import { type Meta, splitLedger } from "../../protocol/model.ts";
import type { LedgerId } from "./meta_store.ts";
import { textArray } from "./postgres_arrays.ts";
import { statement } from "./postgres_session.ts";
import { sql } from "./postgres_sql.ts";

/** Writes what is not held yet, if there is room for more. */
export function toHold(ledger: LedgerId, metas: readonly Meta[], limit: number) {
  const refs = metas.map(({ blobs }) => blobs.map(({ store, cid }) => ({ store, cid })));
  return statement(
    sql.insertHeld,
    ...splitLedger(ledger),
    textArray(metas.map(({ cid }) => cid)),
    textArray(metas.map(({ parents }) => JSON.stringify(parents))),
    textArray(refs.map((it) => JSON.stringify(it))),
    textArray(metas.map(({ data }) => Buffer.from(data).toString("base64"))),
    limit,
  );
}
