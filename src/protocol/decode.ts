/**
 * Reads plain MessagePack, and is the guard at the door: it checks each byte in the same walk in which
 * it reads it, so that no two readers can disagree on what a message says. Taken are whole values of
 * bounded depth and count, no extension types, text that is UTF-8, numbers that JavaScript can hold,
 * no key twice. A message that breaks a rule is refused whole: nobody sees what came before.
 *
 * Format bytes: https://github.com/msgpack/msgpack/blob/master/spec.md
 */

import { HearthError } from "./errors.ts";
import { hasByteOrderMark, isUtf8 } from "./utf8.ts";
import { findWord, keepWord } from "./words.ts";

/** Bounds of one message. */
export interface DecodeLimits {
  /** Deepest nesting of arrays and maps. @default 8 */
  readonly maxDepth?: number;
  /** Most values in all, keys included. @default 65536 */
  readonly maxItems?: number;
}

/** Most entries of one map: every map of this protocol has a handful of fixed keys. */
const maxMapEntries = 16;
/** Longest key of a map, in bytes. */
const maxKeyBytes = 32;
/** Readers disagree on what it means in an object: some set its prototype, some throw. */
const prototypeKey = "__proto__";
/** Of a 64-bit integer's upper half, which is signed: beyond these it is beyond ±2^53. */
const maxUpperHalf = 0x1f_ffff;
const minUpperHalf = -0x20_0000;

const textDecoder = new TextDecoder();
/** Where the bytes of floats become numbers. */
const float = new DataView(new ArrayBuffer(8));

/**
 * Decodes the values of a message. Binary values are views into `message`.
 *
 * @throws {HearthError} `BAD_FRAME` naming the byte at which the message stopped being acceptable
 */
export function decodeValues(message: Uint8Array, limits: DecodeLimits = {}): unknown[] {
  const reader = new Reader(message, limits);
  if (message.length === 0) reader.refuse("is empty");
  const values: unknown[] = [];
  while (!reader.atEnd) values.push(reader.value(0));
  return values;
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #maxDepth: number;
  #itemsLeft: number;
  #at = 0;

  constructor(message: Uint8Array, { maxDepth = 8, maxItems = 65_536 }: DecodeLimits) {
    // Of this class exactly, whatever the message is of, so that its views are too.
    this.#bytes = new Uint8Array(message.buffer, message.byteOffset, message.length);
    this.#maxDepth = maxDepth;
    this.#itemsLeft = maxItems;
  }

  get atEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  value(depth: number): unknown {
    this.#count(1);
    const type = this.#uint8();
    if (type <= 0x7f) return type;
    if (type >= 0xe0) return type - 0x100;
    if (type <= 0x8f) return this.#map(type & 0x0f, depth);
    if (type <= 0x9f) return this.#array(type & 0x0f, depth);
    if (type <= 0xbf) return this.#text(type & 0x1f);
    switch (type) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
        return this.#binary(this.#uint8());
      case 0xc5:
        return this.#binary(this.#uint16());
      case 0xc6:
        return this.#binary(this.#uint32());
      case 0xca:
        return this.#finite(this.#floatOf(4).getFloat32(0));
      case 0xcb:
        return this.#finite(this.#floatOf(8).getFloat64(0));
      case 0xcc:
        return this.#uint8();
      case 0xcd:
        return this.#uint16();
      case 0xce:
        return this.#uint32();
      case 0xcf:
        return this.#wide(this.#uint32());
      case 0xd0:
        return this.#uint8() << 24 >> 24;
      case 0xd1:
        return this.#uint16() << 16 >> 16;
      case 0xd2:
        return this.#uint32() | 0;
      case 0xd3:
        return this.#wide(this.#uint32() | 0);
      case 0xd9:
        return this.#text(this.#uint8());
      case 0xda:
        return this.#text(this.#uint16());
      case 0xdb:
        return this.#text(this.#uint32());
      case 0xdc:
        return this.#array(this.#uint16(), depth);
      case 0xdd:
        return this.#array(this.#uint32(), depth);
      case 0xde:
        return this.#map(this.#uint16(), depth);
      case 0xdf:
        return this.#map(this.#uint32(), depth);
      default: // extension types, and the one byte the format never uses
        this.refuse(`uses type 0x${type.toString(16)}`);
    }
  }

  refuse(found: string): never {
    throw new HearthError("BAD_FRAME", `Cannot read message: it ${found} at byte ${this.#at}`);
  }

  #array(length: number, depth: number): unknown[] {
    this.#enter(length, depth);
    // It grows with what is there: room for what is only claimed would be had for nothing.
    const items: unknown[] = [];
    for (let index = 0; index < length; index++) items.push(this.value(depth + 1));
    return items;
  }

  #map(length: number, depth: number): Record<string, unknown> {
    if (length > maxMapEntries) this.refuse(`has a map of ${length} entries`);
    this.#count(length);
    this.#enter(2 * length, depth);
    const map: Record<string, unknown> = {};
    for (let index = 0; index < length; index++) {
      const key = this.#key();
      if (Object.hasOwn(map, key)) this.refuse("names a key twice");
      map[key] = this.value(depth + 1);
    }
    return map;
  }

  #key(): string {
    const type = this.#uint8();
    const length = type === 0xd9 ? this.#uint8() : type >= 0xa0 && type <= 0xbf ? type & 0x1f : -1;
    if (length < 0 || length > maxKeyBytes) this.refuse("has a key that is no short text");
    const key = this.#text(length);
    if (key === prototypeKey) this.refuse("has a key that no map may have");
    return key;
  }

  #text(length: number): string {
    const start = this.#skip(length);
    const known = findWord(this.#bytes, start, this.#at);
    if (known !== undefined) return known;
    if (!isUtf8(this.#bytes, start, this.#at)) this.refuse("has text that is not UTF-8");
    // Readers disagree on it too: `TextDecoder` drops it, others keep it.
    if (hasByteOrderMark(this.#bytes, start, this.#at)) {
      this.refuse("has text with a byte order mark");
    }
    const text = textDecoder.decode(this.#bytes.subarray(start, this.#at));
    keepWord(text, this.#bytes, start, this.#at);
    return text;
  }

  #binary(length: number): Uint8Array {
    const start = this.#skip(length);
    return this.#bytes.subarray(start, this.#at);
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

  #finite(value: number): number {
    if (!Number.isFinite(value)) this.refuse("has a number that is not finite");
    return value;
  }

  /** A 64-bit integer, whose lower half follows. */
  #wide(upperHalf: number): number {
    const value = upperHalf * 2 ** 32 + this.#uint32();
    if (upperHalf > maxUpperHalf || upperHalf < minUpperHalf) {
      this.refuse("has an integer beyond 2^53");
    }
    return value;
  }

  #floatOf(size: 4 | 8): DataView {
    const start = this.#skip(size);
    for (let at = 0; at < size; at++) float.setUint8(at, this.#bytes[start + at] ?? 0);
    return float;
  }

  #uint8(): number {
    return this.#bytes[this.#skip(1)] ?? 0;
  }

  #uint16(): number {
    const at = this.#skip(2);
    return (this.#bytes[at] ?? 0) << 8 | (this.#bytes[at + 1] ?? 0);
  }

  #uint32(): number {
    // Shifts make signed numbers of 32 bits.
    return this.#uint16() * 0x1_0000 + this.#uint16();
  }

  /** Goes on by so many bytes; gives where they begin. */
  #skip(length: number): number {
    const start = this.#at;
    if (length > this.#bytes.length - start) this.refuse("ends too early");
    this.#at = start + length;
    return start;
  }
}
