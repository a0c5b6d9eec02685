/**
 * Writes plain MessagePack, each value in the shortest form that holds it.
 *
 * Format bytes: https://github.com/msgpack/msgpack/blob/master/spec.md
 */

import { allocateBytes, joinBytes } from "../base/bytes.ts";

/** Encodes one value; properties that are `undefined` are left out. */
export function encodeValue(value: unknown): Uint8Array<ArrayBuffer> {
  const written = writer.write(value);
  const bytes = allocateBytes(written.length);
  bytes.set(written);
  return bytes;
}

/** How many bytes a value is when it is encoded. */
export function encodedLength(value: unknown): number {
  return writer.write(value).length;
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

/** Memory to write into begins with this much. */
const firstBytes = 16 << 10;
/** A message has seldom more than this: what a longer one needed is not kept. */
const maxKeptBytes = 1 << 20;
/** Most letters that are looked at one by one; for more, the runtime's own encoder is faster. */
const maxShortLetters = 64;
/** Longest head of a value: its type, and eight bytes of a number. */
const maxHeadBytes = 9;

const textEncoder = new TextEncoder();

/** Writes one value after another into the same memory. */
class Writer {
  #bytes = new Uint8Array(firstBytes);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;

  /** Encodes a value; the bytes hold until the next one is written. */
  write(value: unknown): Uint8Array {
    if (this.#bytes.length > maxKeptBytes) this.#use(new Uint8Array(firstBytes));
    this.#at = 0;
    this.#value(value);
    return this.#bytes.subarray(0, this.#at);
  }

  #value(value: unknown): void {
    this.#reserve(maxHeadBytes);
    switch (typeof value) {
      case "string":
        return this.#text(value);
      case "number":
        return this.#number(value);
      case "boolean":
        return this.#byte(value ? 0xc3 : 0xc2);
      case "undefined":
        return this.#byte(0xc0);
      case "object":
        if (value === null) return this.#byte(0xc0);
        if (ArrayBuffer.isView(value)) return this.#binary(value);
        return Array.isArray(value) ? this.#array(value) : this.#map(value);
      default:
        throw new TypeError(`Cannot encode a ${typeof value}`);
    }
  }

  #array(items: readonly unknown[]): void {
    const { length } = items;
    if (length <= 0x0f) this.#byte(0x90 | length);
    else this.#longHead(0xdc, length);
    for (let index = 0; index < length; index++) this.#value(items[index]);
  }

  #map(map: object): void {
    // Whatever it is an instance of, what is encoded of it are its own properties.
    const properties = map as Readonly<Record<string, unknown>>;
    const keys = Object.keys(properties);
    let length = 0;
    for (const key of keys) if (properties[key] !== undefined) length++;
    if (length <= 0x0f) this.#byte(0x80 | length);
    else this.#longHead(0xde, length);
    for (const key of keys) {
      const value = properties[key];
      if (value === undefined) continue;
      this.#reserve(maxHeadBytes);
      this.#text(key);
      this.#value(value);
    }
  }

  #text(text: string): void {
    if (text.length <= maxShortLetters && this.#ascii(text)) return;
    // No letter of UTF-16 takes more than three bytes of UTF-8.
    this.#reserve(maxHeadBytes + 3 * text.length);
    const head = textHeadBytes(text.length);
    const { written } = textEncoder.encodeInto(text, this.#bytes.subarray(this.#at + head));
    const start = this.#at + textHeadBytes(written);
    // The head was guessed by the letters: their bytes may be so many that it is longer.
    if (start > this.#at + head) {
      this.#bytes.copyWithin(start, this.#at + head, this.#at + head + written);
    }
    this.#textHead(written);
    this.#at = start + written;
  }

  /** Writes a short text, unless it has letters beyond ASCII. */
  #ascii(text: string): boolean {
    const { length } = text;
    this.#reserve(maxHeadBytes + length);
    const start = this.#at + textHeadBytes(length);
    const bytes = this.#bytes;
    for (let index = 0; index < length; index++) {
      const code = text.charCodeAt(index);
      if (code >= 0x80) return false;
      bytes[start + index] = code;
    }
    this.#textHead(length);
    this.#at = start + length;
    return true;
  }

  #textHead(length: number): void {
    if (length <= 0x1f) this.#byte(0xa0 | length);
    else if (length <= 0xff) this.#uint8(0xd9, length);
    else this.#longHead(0xda, length);
  }

  #binary(view: ArrayBufferView): void {
    const { buffer, byteOffset, byteLength } = view;
    const bytes = view instanceof Uint8Array
      ? view
      : new Uint8Array(buffer, byteOffset, byteLength);
    if (byteLength <= 0xff) this.#uint8(0xc4, byteLength);
    else this.#longHead(0xc5, byteLength);
    this.#reserve(byteLength);
    this.#bytes.set(bytes, this.#at);
    this.#at += byteLength;
  }

  #number(value: number): void {
    if (!Number.isSafeInteger(value)) {
      this.#byte(0xcb);
      this.#view.setFloat64(this.#at, value);
      this.#at += 8;
    } else if (value >= 0) {
      if (value <= 0x7f) this.#byte(value);
      else if (value <= 0xff) this.#uint8(0xcc, value);
      else if (value <= 0xffff) this.#uint16(0xcd, value);
      else if (value <= 0xffff_ffff) this.#uint32(0xce, value);
      else this.#uint64(0xcf, value);
    } else if (value >= -0x20) this.#byte(0x100 + value);
    else if (value >= -0x80) this.#uint8(0xd0, value);
    else if (value >= -0x8000) this.#uint16(0xd1, value);
    else if (value >= -0x8000_0000) this.#uint32(0xd2, value);
    else this.#uint64(0xd3, value);
  }

  /** A type and a length of two bytes; the next type is that of four. */
  #longHead(type: number, length: number): void {
    if (length <= 0xffff) this.#uint16(type, length);
    else this.#uint32(type + 1, length);
  }

  #byte(byte: number): void {
    this.#bytes[this.#at++] = byte;
  }

  // A negative number is written as its two's complement, by the same methods.

  #uint8(type: number, value: number): void {
    this.#byte(type);
    this.#byte(value);
  }

  #uint16(type: number, value: number): void {
    this.#byte(type);
    this.#view.setUint16(this.#at, value);
    this.#at += 2;
  }

  #uint32(type: number, value: number): void {
    this.#byte(type);
    this.#view.setUint32(this.#at, value);
    this.#at += 4;
  }

  #uint64(type: number, value: number): void {
    this.#uint32(type, Math.floor(value / 2 ** 32));
    this.#view.setUint32(this.#at, value);
    this.#at += 4;
  }

  #reserve(length: number): void {
    const needed = this.#at + length;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    larger.set(this.#bytes.subarray(0, this.#at));
    this.#use(larger);
  }

  #use(bytes: Uint8Array<ArrayBuffer>): void {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }
}

function textHeadBytes(length: number): number {
  return length <= 0x1f ? 1 : length <= 0xff ? 2 : length <= 0xffff ? 3 : 5;
}

/** Encoding never waits for anything and calls nobody, so one is enough for all. */
const writer = new Writer();
