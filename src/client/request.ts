/** A call on its way: encoded once, sent as often as it takes. */

import { encodeRequest } from "../protocol/frames.ts";
import type { MethodTable } from "../protocol/method_table.ts";

/** Name of a method. */
export type Method = keyof MethodTable;

/** One request, ready to be sent. */
export interface OutgoingRequest<M extends Method> {
  readonly id: number;
  readonly method: M;
  readonly frame: Uint8Array;
}

/** Ids are told apart on one connection only; one counter for all of them is the simplest that does. */
let lastId = 0;

/** Encodes a call. */
export function createRequest<M extends Method>(
  method: M,
  params: MethodTable[M]["params"],
): OutgoingRequest<M> {
  lastId = (lastId + 1) % 2 ** 32;
  return { id: lastId, method, frame: encodeRequest(lastId, method, params) };
}
