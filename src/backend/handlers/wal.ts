/** `getWal`, `putWal`, `delWal`: a device's own records, compare-and-set by version. */

import { HearthError } from "../../protocol/errors.ts";
import { type Handler, type Peer, sessionOf } from "../handler.ts";
import type { CompareAndSet, WalKey } from "../stores/meta_store.ts";

/** Reads a record. */
export const getWal: Handler<"getWal"> = ({ metaStore }, params, peer) =>
  metaStore.getWal(keyOf(params, peer));

/** Writes a record. */
export const putWal: Handler<"putWal"> = async ({ metaStore }, params, peer) => {
  const key = keyOf(params, peer);
  const { version } = settled(key, await metaStore.putWal(key, params.version, params.bytes));
  return { version };
};

/** Removes a record. */
export const delWal: Handler<"delWal"> = async ({ metaStore }, params, peer) => {
  const key = keyOf(params, peer);
  settled(key, await metaStore.deleteWal(key, params.version));
  return {};
};

/** Records belong to the token's subject: nobody reads or guesses another's. */
function keyOf(params: { readonly ledger: string; readonly name: string }, peer: Peer): WalKey {
  return { ledger: params.ledger, owner: sessionOf(peer).subject, name: params.name };
}

function settled({ ledger, name }: WalKey, outcome: CompareAndSet): CompareAndSet {
  if (outcome.done) return outcome;
  throw new HearthError(
    "CONFLICT",
    `Cannot change record "${name}" of "${ledger}": it is at version ${outcome.version}`,
    { details: { version: outcome.version } },
  );
}
