/** Small arrays share memory, and none of them sees another's. */

import { test } from "node:test";
import { assert, assertEquals } from "#assert";
import { allocateBytes, equalBytes, joinBytes } from "../../src/base/bytes.ts";

test("allocateBytes() gives zeros that no other array lies on, of every length", () => {
  const made = Array.from({ length: 3_000 }, (_, at) => allocateBytes(at * 7 % 6_000));
  made.forEach((bytes, at) => {
    assertEquals(bytes.length, at * 7 % 6_000);
    assert(bytes.every((byte) => byte === 0), `array ${at}`);
    bytes.fill(1 + at % 255);
  });
  made.forEach((bytes, at) => {
    assert(bytes.every((byte) => byte === 1 + at % 255), `array ${at} was written over`);
  });
});

test("joinBytes() puts parts back to back, and equalBytes() compares what is in them", () => {
  const whole = joinBytes([Uint8Array.of(1, 2), new Uint8Array(0), Uint8Array.of(3)]);
  assert(equalBytes(whole, Uint8Array.of(1, 2, 3)));
  assert(!equalBytes(whole, Uint8Array.of(1, 2, 4)));
  assert(!equalBytes(whole, Uint8Array.of(1, 2)));
});
