/** What a ledger's reader is told, in the stock client's form: written once for all who are told it. */

import type { Meta } from "../../protocol/model.ts";
import { toExtraMetas, toSerialized } from "./metas.ts";

/** Metas and keys; nothing else of a change concerns the stock client. */
export interface Told {
  readonly metas: readonly Meta[];
  readonly keys: readonly string[];
}

/** The events that tell this to one bind. @param event their fields but `meta` */
export function writeEvents(event: object, told: Told): readonly string[] {
  const head = JSON.stringify(event).slice(0, -1);
  return writeMetas(told).map((meta) => `${head},"meta":${meta}}`);
}

const written = new WeakMap<object, readonly string[]>();

/**
 * The `meta` of each event that tells this, as JSON, in order: one for each further car of a commit,
 * then one with the metas themselves. Keys are in each, since a car is opened when it is loaded.
 */
function writeMetas(told: Told): readonly string[] {
  const known = written.get(told);
  if (known) return known;
  const { metas, keys } = told;
  const texts = [
    ...metas.flatMap(toExtraMetas).map((meta) => JSON.stringify({ metas: [meta], keys })),
    JSON.stringify({ metas: metas.map(toSerialized), keys }),
  ];
  written.set(told, texts);
  return texts;
}
