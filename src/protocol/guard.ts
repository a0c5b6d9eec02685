/**
 * Checks bytes before anything decodes them: whole values, bounded depth, count and length, no
 * extension types, text that is UTF-8, integers that JavaScript can hold, no key twice. It costs a
 * walk over the bytes and keeps no more than the offsets of the keys of the maps it is inside of.
 *
 * Format bytes: https://github.com/msgpack/msgpack/blob/master/spec.md
 */

import { HearthError } from "./errors.ts";

/** Bounds of one message. */
export interface GuardLimits {
  /** Deepest nesting of arrays and maps. @default 8 */
  readonly maxDepth?: number;
  /** Most values in all, keys included. @default 65536 */
  readonly maxItems?: number;
}

/** Most entries of one map: every map of this protocol has a handful of fixed keys. */
const maxMapEntries = 16;
/** Longest key of a map, in bytes. */
const maxKeyBytes = 32;
/** Decoders disagree on what it means in an object: some set its prototype, some throw. */
const prototypeKey = new TextEncoder().encode("__proto__");

/**
 * Refuses a message that a decoder should never see.
 *
 * @throws {HearthError} `BAD_FRAME` naming the byte at which the message stopped being acceptable
 */
export function guardMessage(bytes: Uint8Array, limits: GuardLimits = {}): void {
  const guard = new Guard(bytes, limits);
  if (bytes.length === 0) guard.refuse("is empty");
  while (!guard.atEnd) guard.value(0);
}

class Guard {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #maxDepth: number;
  #itemsLeft: number;
  #at = 0;

  constructor(bytes: Uint8Array, { maxDepth = 8, maxItems = 65_536 }: GuardLimits) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#maxDepth = maxDepth;
    this.#itemsLeft = maxItems;
  }

  get atEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  value(depth: number): void {
    this.#count(1);
    const type = this.#uint(1);
    if (type <= 0x7f || type >= 0xe0) return;
    if (type <= 0x8f) return this.#map(type & 0x0f, depth);
    if (type <= 0x9f) return this.#array(type & 0x0f, depth);
    if (type <= 0xbf) return this.#text(type & 0x1f);
    switch (type) {
      case 0xc0: // nil
      case 0xc2: // false
      case 0xc3: // true
        return;
      case 0xc4:
        return this.#skip(this.#uint(1));
      case 0xc5:
        return this.#skip(this.#uint(2));
      case 0xc6:
        return this.#skip(this.#uint(4));
      case 0xca:
        return this.#finite(this.#skipped(4).getFloat32(0));
      case 0xcb:
        return this.#finite(this.#skipped(8).getFloat64(0));
      case 0xcc:
      case 0xd0:
        return this.#skip(1);
      case 0xcd:
      case 0xd1:
        return this.#skip(2);
      case 0xce:
      case 0xd2:
        return this.#skip(4);
      case 0xcf:
        return this.#safeInteger(this.#skipped(8).getBigUint64(0));
      case 0xd3:
        return this.#safeInteger(this.#skipped(8).getBigInt64(0));
      case 0xd9:
        return this.#text(this.#uint(1));
      case 0xda:
        return this.#text(this.#uint(2));
      case 0xdb:
        return this.#text(this.#uint(4));
      case 0xdc:
        return this.#array(this.#uint(2), depth);
      case 0xdd:
        return this.#array(this.#uint(4), depth);
      case 0xde:
        return this.#map(this.#uint(2), depth);
      case 0xdf:
        return this.#map(this.#uint(4), depth);
      default: // extension types, and the one byte the format never uses
        this.refuse(`uses type 0x${type.toString(16)}`);
    }
  }

  refuse(found: string): never {
    throw new HearthError("BAD_FRAME", `Cannot read message: it ${found} at byte ${this.#at}`);
  }

  #array(length: number, depth: number): void {
    this.#enter(length, depth);
    for (let index = 0; index < length; index++) this.value(depth + 1);
  }

  #map(length: number, depth: number): void {
    if (length > maxMapEntries) this.refuse(`has a map of ${length} entries`);
    this.#count(length);
    this.#enter(2 * length, depth);
    const keys: Uint8Array[] = [];
    for (let index = 0; index < length; index++) {
      keys.push(this.#newKey(keys));
      this.value(depth + 1);
    }
  }

  #newKey(others: readonly Uint8Array[]): Uint8Array {
    const type = this.#uint(1);
    const length = type === 0xd9 ? this.#uint(1) : type >= 0xa0 && type <= 0xbf ? type & 0x1f : -1;
    if (length < 0 || length > maxKeyBytes) this.refuse("has a key that is no short text");
    const start = this.#at;
    this.#text(length);
    const key = this.#bytes.subarray(start, this.#at);
    if (others.some((other) => equalBytes(other, key))) this.refuse("names a key twice");
    if (equalBytes(key, prototypeKey)) this.refuse("has a key that no map may have");
    return key;
  }

  #count(items: number): void {
    this.#itemsLeft -= items;
    if (this.#itemsLeft < 0) this.refuse("holds too many values");
  }

  #enter(length: number, depth: number): void {
    if (depth >= this.#maxDepth) this.refuse(`is nested deeper than ${this.#maxDepth}`);
    // Every value needs a byte at least, so a length beyond the rest of the message is a lie.
    if (length > this.#bytes.length - this.#at) this.refuse("ends too early");
  }

  #text(length: number): void {
    const start = this.#at;
    this.#skip(length);
    if (!isUtf8(this.#bytes, start, this.#at)) this.refuse("has text that is not UTF-8");
    // Decoders disagree on it too: `TextDecoder` drops it, others keep it.
    if (hasByteOrderMark(this.#bytes, start, this.#at)) {
      this.refuse("has text with a byte order mark");
    }
  }

  #finite(value: number): void {
    if (!Number.isFinite(value)) this.refuse("has a number that is not finite");
  }

  #safeInteger(value: bigint): void {
    if (value !== BigInt.asIntN(54, value)) this.refuse("has an integer beyond 2^53");
  }

  #uint(size: 1 | 2 | 4): number {
    const at = this.#at;
    this.#skip(size);
    if (size === 1) return this.#view.getUint8(at);
    return size === 2 ? this.#view.getUint16(at) : this.#view.getUint32(at);
  }

  #skipped(size: number): DataView {
    const at = this.#at;
    this.#skip(size);
    return new DataView(this.#bytes.buffer, this.#bytes.byteOffset + at, size);
  }

  #skip(length: number): void {
    if (length > this.#bytes.length - this.#at) this.refuse("ends too early");
    this.#at += length;
  }
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at++) {
    if (a[at] !== b[at]) return false;
  }
  return true;
}

function hasByteOrderMark(bytes: Uint8Array, start: number, end: number): boolean {
  return end - start >= 3 && bytes[start] === 0xef && bytes[start + 1] === 0xbb &&
    bytes[start + 2] === 0xbf;
}

/** Well-formed UTF-8 by RFC 3629 §4: shortest form, no surrogates, nothing above U+10FFFF. */
function isUtf8(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  while (at < end) {
    const lead = bytes[at++] ?? 0;
    if (lead < 0x80) continue;
    const more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
    if (lead < 0xc2 || lead > 0xf4 || at + more > end) return false;
    const second = bytes[at] ?? 0;
    const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
    const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
    if (second < low || second > high) return false;
    for (let index = 1; index < more; index++) {
      if (((bytes[at + index] ?? 0) & 0xc0) !== 0x80) return false;
    }
    at += more;
  }
  return true;
}
