/** Messages of every released version stay readable, and this one is written byte for byte. */

import { test } from "node:test";
import { assert, assertEquals } from "#assert";
import { decodeValues } from "../../src/protocol/decode.ts";
import { encodeValue } from "../../src/protocol/encode.ts";
import { decodeFrames, joinFrames, toHearthError } from "../../src/protocol/frames.ts";
import {
  isMethodName,
  isNotificationName,
  type MethodName,
  methods,
  notifications,
} from "../../src/protocol/methods.ts";
import { parseNotice, parseParams, parseResult } from "../../src/protocol/parse.ts";
import { protocolVersion } from "../../src/protocol/version.ts";
import { fromHex, toHex } from "../hex.ts";
import { readVectors, revive } from "./golden.ts";

for (let version = 1; version <= protocolVersion; version++) {
  for (const { name, value, hex, canonical = true } of readVectors(version)) {
    test(`version ${version}, "${name}": the bytes are the value`, () => {
      assertEquals(decodeValues(fromHex(hex)), value.map(revive));
      assertEquals(decodeFrames(fromHex(hex)).length, value.length);
    });
    if (!canonical) continue;
    test(`version ${version}, "${name}": the value is the bytes`, () => {
      const frames = value.map((frame) => encodeValue(revive(frame)));
      assertEquals(toHex(joinFrames(frames)), hex);
    });
  }
}

test("the vectors of this version fit the table, and leave no row of it out", () => {
  const asked = new Map<number, MethodName>();
  const seen = new Set<string>();
  for (const { name, hex } of readVectors(protocolVersion)) {
    for (const frame of decodeFrames(fromHex(hex))) {
      if (frame.kind === "request") {
        assert(isMethodName(frame.method), name);
        parseParams(frame.method, frame.params);
        asked.set(frame.id, frame.method);
        seen.add(frame.method);
      } else if (frame.kind === "notification") {
        assert(isNotificationName(frame.method), name);
        parseNotice(frame.method, frame.params);
        seen.add(frame.method);
      } else if (frame.error) {
        const { code, retry } = toHearthError(frame.error);
        assertEquals({ code, retry }, { code: frame.error.code, retry: frame.error.retry }, name);
      } else {
        const method = asked.get(frame.id);
        assert(method, `"${name}" answers no request of the list`);
        parseResult(method, frame.result);
      }
    }
  }
  assertEquals([...seen].sort(), [...Object.keys(methods), ...Object.keys(notifications)].sort());
});
