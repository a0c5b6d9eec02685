/** MessagePack and nothing else: the one home of the library that reads and writes it. */

import { decodeMulti, Encoder } from "@msgpack/msgpack";
import { type GuardLimits, guardMessage } from "./guard.ts";

const encoder = new Encoder({ ignoreUndefined: true });

/** Encodes one value; properties that are `undefined` are left out. */
export function encodeValue(value: unknown): Uint8Array<ArrayBuffer> {
  return encoder.encode(value);
}

/**
 * Decodes the values of a message, after the bytes have passed the guard.
 * Binary values are views into `bytes`.
 *
 * @throws {HearthError} `BAD_FRAME` when the bytes are not plain, bounded MessagePack
 */
export function decodeValues(bytes: Uint8Array, limits?: GuardLimits): unknown[] {
  guardMessage(bytes, limits);
  return [...decodeMulti(bytes)];
}
