/** Cursors survive their spelling, and nothing else is one. */

import { test } from "node:test";
import { assertEquals } from "#assert";
import { formatCursor, parseCursor } from "../../src/protocol/cursor.ts";

test("parseCursor() reads what formatCursor() wrote", () => {
  for (const seq of [0, 1, 9, 10, 4_294_967_296, Number.MAX_SAFE_INTEGER]) {
    const position = { epoch: "0123456789abcdef", seq };
    assertEquals(parseCursor(formatCursor(position)), position);
  }
});

test("parseCursor() refuses every other text", () => {
  const refused = [
    "",
    ".",
    "abc",
    "abcdefgh",
    "abcdefgh.",
    ".1",
    "abcdefg.1",
    `${"a".repeat(65)}.1`,
    "ABCDEFGH.1",
    "abcdefgh.-1",
    "abcdefgh.+1",
    "abcdefgh.01",
    "abcdefgh.00",
    "abcdefgh.1.0",
    "abcdefgh.1e3",
    "abcdefgh.0x1",
    "abcdefgh. 1",
    "abcdefgh.1\n",
    " abcdefgh.1",
    "abcdefgh.\u0661",
    "abcdefgh.9007199254740992",
    "abcdefgh.99999999999999999999",
    "abcd/fgh.1",
  ];
  for (const text of refused) assertEquals(parseCursor(text), undefined, `accepted "${text}"`);
});
