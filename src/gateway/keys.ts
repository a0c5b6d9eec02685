/** The ledger's key material on its way out of one device's key bag and into another's. */

import {
  encodeAsV2SerializedMetaKey,
  V2SerializedMetaKeyExtractKey,
} from "@fireproof/core-gateways-base";
import type { Loadable } from "@fireproof/core-types-blockstore";

/** All keys that this device holds for its ledger, in clear: the server can read them. */
export async function exportKeys(loader: Loadable): Promise<readonly string[]> {
  return (await encodeAsV2SerializedMetaKey({ loader }, [])).unwrap().keys;
}

/** Adds keys to the device's key bag; those it has already are left alone. */
export async function importKeys(loader: Loadable, keys: readonly string[]): Promise<void> {
  if (keys.length === 0) return;
  (await V2SerializedMetaKeyExtractKey({ loader }, { metas: [], keys: [...keys] })).unwrap();
}
