/** Nothing gets past the decoder but whole, bounded, plain MessagePack. */

import { test } from "node:test";
import { assert, assertEquals, assertStringIncludes, assertThrows } from "#assert";
import { HearthError } from "../../src/protocol/errors.ts";
import { decodeFrames, encodeNotification, encodeRequest } from "../../src/protocol/frames.ts";
import { decodeValues } from "../../src/protocol/decode.ts";
import { fromHex, toHex } from "../hex.ts";
import { seededRandom, testSeed } from "../random.ts";
import { hostileMessages, noticeHead } from "./hostile.ts";
import { randomFrame, toBytes } from "./random_frame.ts";

for (const [what, message] of hostileMessages) {
  test(`decodeFrames() refuses ${what}`, () => {
    const error = assertThrows(() => decodeFrames(message));
    assert(error instanceof HearthError, `${error}`);
    assertEquals(error.code, "BAD_FRAME");
    assertEquals(Object.hasOwn(Object.prototype, "polluted"), false);
  });
}

const accepted: Record<string, [hex: string, value: unknown]> = {
  "8 levels, the frame's own included": ["91".repeat(7) + "c0", [[[[[[[null]]]]]]]],
  "2^53-1": ["cf001fffffffffffff", Number.MAX_SAFE_INTEGER],
  "-(2^53-1)": ["d3ffe0000000000001", Number.MIN_SAFE_INTEGER],
  "1 as a float": ["cb3ff0000000000000", 1],
  "1 in nine bytes": ["cf0000000000000001", 1],
  "one letter in long text": ["db0000000161", "a"],
  "an empty map in a long spelling": ["df00000000", {}],
  "a map of 16 entries": [
    "de0010" + Array.from({ length: 16 }, (_, at) => `a1${(0x61 + at).toString(16)}c0`).join(""),
    Object.fromEntries(
      Array.from({ length: 16 }, (_, at) => [String.fromCharCode(0x61 + at), null]),
    ),
  ],
  "a key of 32 bytes": [`81d920${"61".repeat(32)}c0`, { ["a".repeat(32)]: null }],
  "the edges of UTF-8": [
    "b6" + "7f" + "c280" + "dfbf" + "e0a080" + "ed9fbf" + "ee8080" + "efbfbf" + "f0908080" + "00",
    "\x7f\x80\u07ff\u0800\ud7ff\ue000\uffff\u{10000}\0",
  ],
  "the last code point": ["a4f48fbfbf", "\u{10ffff}"],
  "the key constructor": ["81ab636f6e7374727563746f72c0", { constructor: null }],
};

test("decodeFrames() takes every spelling of what the protocol allows, up to its edges", () => {
  for (const [what, [hex, value]] of Object.entries(accepted)) {
    const frames = decodeFrames(fromHex(noticeHead + hex));
    assertEquals(frames, [{ kind: "notification", method: "x", params: value }], what);
  }
});

test("a message cut at any byte is refused", () => {
  const message = encodeRequest(7, "commit", {
    ledger: "acme/todos",
    keys: ["clé", "k".repeat(300)],
    metas: [{ cid: "b", parents: [], data: new Uint8Array(300), blobs: [] }],
    waitMs: 70_000,
    expiresAt: 2 ** 40,
    share: 0.5,
  });
  assertEquals(decodeFrames(message).length, 1);
  for (let length = 0; length < message.length; length++) {
    const error = assertThrows(
      () => decodeFrames(message.subarray(0, length)),
      `accepted ${length} of ${message.length} bytes`,
    );
    assert(error instanceof HearthError && error.code === "BAD_FRAME", `${error}`);
  }
});

test("decodeValues() counts every value of a message, keys and frames included", () => {
  const message = encodeNotification("x", { a: 1, b: [2, 3] });
  // The frame, 2, "x", the map, its two keys, 1, the list, 2 and 3.
  decodeValues(message, { maxItems: 10 });
  const error = assertThrows(() => decodeValues(message, { maxItems: 9 }));
  assertStringIncludes(error.message, "too many values");
});

test("decodeValues() reads only its own part of a larger buffer", () => {
  const buffer = new Uint8Array([0xc1, ...fromHex(`${noticeHead}cb3ff0000000000000`), 0xc1]);
  decodeValues(buffer.subarray(1, buffer.length - 1));
});

test("decodeFrames() gives frames or BAD_FRAME for any bytes, and nothing else happens", () => {
  const seed = testSeed();
  const random = seededRandom(seed);
  const pristine = Object.getOwnPropertyNames(Object.prototype).join();
  let refused = 0;
  const rounds = 20_000;
  for (let round = 0; round < rounds; round++) {
    const message = mutate(toBytes(randomFrame(random)));
    try {
      decodeFrames(message);
    } catch (error) {
      refused++;
      const fine = error instanceof HearthError && error.code === "BAD_FRAME";
      assert(fine, `seed ${seed}: ${error} for ${toHex(message)}`);
    }
  }
  assertEquals(Object.getOwnPropertyNames(Object.prototype).join(), pristine);
  // Neither all nor none: the mutations reach both sides of the door.
  assert(refused > rounds / 10 && refused < rounds, `seed ${seed}: ${refused} refused`);

  function mutate(frame: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    let bytes = [...frame];
    for (let times = random.below(4); times >= 0; times--) {
      const at = random.below(bytes.length + 1);
      const change = random.pick(["flip", "set", "head", "insert", "remove", "repeat", "noise"]);
      if (change === "flip") bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
      else if (change === "set") bytes[at] = random.below(256);
      else if (change === "head") bytes[at] = 0xc0 + random.below(0x20);
      else if (change === "insert") bytes.splice(at, 0, ...random.bytes(1 + random.below(9)));
      else if (change === "remove") bytes.splice(at, 1 + random.below(9));
      else if (change === "repeat") bytes.splice(at, 0, ...bytes.slice(at, at + 40));
      else bytes = [...random.bytes(random.below(60))];
    }
    return Uint8Array.from(bytes);
  }
});
