/** Our own reader and writer against a library that others use: the same bytes, the same values. */

import { test } from "node:test";
import { decode, encode } from "@msgpack/msgpack";
import { assertEquals, assertThrows } from "#assert";
import { decodeValues } from "../../src/protocol/decode.ts";
import { encodedLength, encodeValue } from "../../src/protocol/encode.ts";
import { seededRandom, testSeed } from "../random.ts";
import { randomFrame } from "./random_frame.ts";

test("encodeValue() writes the bytes that another writer writes, and encodedLength() counts them", () => {
  const seed = testSeed();
  const random = seededRandom(seed);
  for (let round = 0; round < 3_000; round++) {
    const { error: _, ...said } = { error: undefined, ...randomFrame(random) };
    const bytes = encodeValue(said);
    assertEquals(bytes, encode(said, { ignoreUndefined: true }), `seed ${seed}, round ${round}`);
    assertEquals(encodedLength(said), bytes.length);
  }
});

test("encodeValue() and decodeValues() agree with another codec at every edge of a length", () => {
  const edges = [0, 15, 16, 31, 32, 63, 64, 65, 255, 256, 4_095, 4_096, 65_535, 65_536, 70_000];
  for (const length of edges) {
    // Letters of one, two and three bytes, so that letters and bytes pass the edges apart.
    const texts = ["a", "é", "€"].map((letter) => letter.repeat(length));
    const values = [
      ...texts,
      new Uint8Array(length).fill(7),
      Array(Math.min(length, 5_000)).fill(1),
    ];
    for (const value of values) {
      const bytes = encodeValue(value);
      assertEquals(bytes, encode(value), `${typeof value} of ${length}`);
      assertEquals(decodeValues(bytes), [value]);
      assertEquals(decode(bytes), value);
    }
  }
  const wide = Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`key${at}`, at]));
  assertEquals(encodeValue(wide), encode(wide));
});

test("decodeValues() reads every form of a number as another reader does", () => {
  const random = seededRandom(testSeed());
  for (const type of [0xca, 0xcb, 0xcc, 0xcd, 0xce, 0xd0, 0xd1, 0xd2]) {
    for (let round = 0; round < 200; round++) {
      const size = { 0xca: 4, 0xcb: 8, 0xcc: 1, 0xcd: 2, 0xce: 4, 0xd0: 1, 0xd1: 2, 0xd2: 4 }[type];
      const bytes = Uint8Array.from([type, ...random.bytes(size ?? 0)]);
      const value = decode(bytes);
      if (Number.isFinite(value)) assertEquals(decodeValues(bytes), [value]);
    }
  }
});

test("encodeValue() keeps no hold of what it gave before", () => {
  const first = encodeValue("first");
  const copy = first.slice();
  for (let round = 0; round < 5_000; round++) encodeValue("x".repeat(round % 300));
  encodeValue(new Uint8Array(2 << 20));
  assertEquals(first, copy);
});

test("text that is not ASCII is never taken for a known word of the same letters", () => {
  // The letters U+00C3 U+00A9 have the numbers of the bytes of U+00E9.
  for (const text of ["\u00c3\u00a9", "\u00e9", "\u00c3\u00a9", "\u00e9"]) {
    assertEquals(decodeValues(encodeValue({ [text]: text })), [{ [text]: text }]);
  }
});

test("encodeValue() refuses what has no form in MessagePack", () => {
  for (const value of [1n, Symbol("x"), () => {}]) assertThrows(() => encodeValue([value]));
});
