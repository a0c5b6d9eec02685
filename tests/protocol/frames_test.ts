/** What is encoded is what is decoded, frame by frame and message by message. */

import { test } from "node:test";
import { assert, assertEquals } from "#assert";
import { Encoded } from "../../src/protocol/encode.ts";
import { codes, HearthError } from "../../src/protocol/errors.ts";
import {
  decodeFrames,
  encodeError,
  encodeNotification,
  encodeRequest,
  encodeResult,
  type Frame,
  joinFrames,
  toHearthError,
} from "../../src/protocol/frames.ts";
import { seededRandom, testSeed } from "../random.ts";
import { randomFrame, type Said, toBytes } from "./random_frame.ts";

test("decodeFrames() undoes encoding, for frames of any content", () => {
  const seed = testSeed();
  const random = seededRandom(seed);
  for (let round = 0; round < 3_000; round++) {
    const said = randomFrame(random);
    assertEquals(decodeFrames(toBytes(said)), [toFrame(said)], `seed ${seed}, round ${round}`);
  }
});

test("decodeFrames() gives the frames of a message in the order they were joined", () => {
  const seed = testSeed();
  const random = seededRandom(seed);
  for (let round = 0; round < 300; round++) {
    const all = Array.from({ length: 1 + random.below(20) }, () => randomFrame(random));
    const message = joinFrames(all.map(toBytes));
    assertEquals(decodeFrames(message), all.map(toFrame), `seed ${seed}, round ${round}`);
  }
});

test("a result that is encoded for many makes the same replies", () => {
  const seed = testSeed();
  const random = seededRandom(seed);
  for (let round = 0; round < 1_000; round++) {
    const said = randomFrame(random);
    if (said.kind !== "result") continue;
    const { id, result } = said;
    const shared = new Encoded(result);
    for (const it of [id, 0]) {
      assertEquals(
        encodeResult(it, shared),
        encodeResult(it, result),
        `seed ${seed}, round ${round}`,
      );
    }
  }
});

test("properties that are undefined are left out of the frame", () => {
  const params = { ledger: "acme/todos", cursor: undefined };
  const [frame] = decodeFrames(encodeRequest(1, "watch", params));
  assert(frame?.kind === "request");
  assertEquals(frame.params, { ledger: "acme/todos" });
});

test("binary values are views of the message, not copies", () => {
  const message = encodeNotification("told", { body: new Uint8Array([1, 2, 3]) });
  const [frame] = decodeFrames(message);
  // The body is what was encoded one line above.
  const { body } = (frame as { params: { body: Uint8Array } }).params;
  assertEquals(body.buffer, message.buffer);
});

test("an error crosses the wire whole, for every code", () => {
  const details = {
    blobs: [{ store: "car", cid: "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e" }],
    version: 4,
    retryAfterMs: 250,
    id: "f00",
  } as const;
  for (const code of Object.keys(codes)) {
    // The keys of the table are its codes: the compiler widens them to strings.
    const sent = new HearthError(code as keyof typeof codes, "Cannot do this", { details });
    const [frame] = decodeFrames(encodeError(9, sent));
    assert(frame?.kind === "reply" && frame.error);
    const received = toHearthError(frame.error);
    assertEquals(received.code, sent.code);
    assertEquals(received.message, sent.message);
    assertEquals(received.retry, sent.retry);
    assertEquals({ ...received.details }, { ...details });
  }
});

test("the advice of a code that this release does not know still holds", () => {
  for (const retry of ["never", "later", "reauth"] as const) {
    const error = toHearthError({ code: "TEAPOT", message: "Cannot brew", retry });
    assertEquals(error.retry, retry);
    assertEquals(error.message, "TEAPOT: Cannot brew");
  }
  const inherited = toHearthError({ code: "constructor", message: "m", retry: "later" });
  assertEquals(inherited.code, "INTERNAL");
});

test("a newer server may add fields to an error", () => {
  const [frame] = decodeFrames(
    encodeResultWithError({
      code: "INTERNAL",
      message: "m",
      retry: "later",
      hint: 1,
      details: { trace: "t" },
    }),
  );
  assert(frame?.kind === "reply");
  assertEquals(frame.error, { code: "INTERNAL", message: "m", retry: "later", details: {} });
});

/** A reply as only another implementation would write it. */
function encodeResultWithError(error: unknown): Uint8Array<ArrayBuffer> {
  const request = encodeRequest(1, "", error);
  // [0, 1, "", error] with its kind and third value replaced: [1, 1, error, nil].
  return Uint8Array.from([0x94, 1, 1, ...request.subarray(4), 0xc0]);
}

function toFrame(said: Said): Frame {
  switch (said.kind) {
    case "result":
      return { kind: "reply", id: said.id, error: null, result: said.result };
    case "error": {
      const { code, message, retry, details } = said.error;
      const error = details ? { code, message, retry, details } : { code, message, retry };
      return { kind: "reply", id: said.id, error, result: null };
    }
    default:
      return said;
  }
}

test("encodeResult() says that there was no error", () => {
  assertEquals(decodeFrames(encodeResult(3, {})), [{
    kind: "reply",
    id: 3,
    error: null,
    result: {},
  }]);
});
