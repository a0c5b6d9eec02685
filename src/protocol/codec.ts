/** MessagePack and nothing else: the one home of the library that reads and writes it. */

import { decodeMulti, Encoder } from "@msgpack/msgpack";
import { joinBytes } from "../base/bytes.ts";
import { type GuardLimits, guardMessage } from "./guard.ts";

const encoder = new Encoder({ ignoreUndefined: true });

/** Encodes one value; properties that are `undefined` are left out. */
export function encodeValue(value: unknown): Uint8Array<ArrayBuffer> {
  return encoder.encode(value);
}

/** A value that goes into several messages: encoded once, when the first of them is made. */
export class Encoded<T = unknown> {
  readonly value: T;
  #bytes: Uint8Array | undefined;

  constructor(value: T) {
    this.value = value;
  }

  /** What it is on the wire. */
  get bytes(): Uint8Array {
    return this.#bytes ??= encodeValue(this.value);
  }
}

/** Encodes a list of at most 15 items, some of which may be encoded already. */
export function encodeList(items: readonly unknown[]): Uint8Array<ArrayBuffer> {
  if (items.length > 0x0f) {
    throw new RangeError(`Cannot encode ${items.length} items as a short list`);
  }
  const parts = items.map((item) => item instanceof Encoded ? item.bytes : encodeValue(item));
  return joinBytes([Uint8Array.of(0x90 | items.length), ...parts]);
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
