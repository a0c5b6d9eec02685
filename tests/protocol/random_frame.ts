/** Frames of any content that the protocol allows, drawn from a seed. */

import type { HearthError } from "../../src/protocol/errors.ts";
import { codes, HearthError as ProtocolError } from "../../src/protocol/errors.ts";
import {
  encodeError,
  encodeNotification,
  encodeRequest,
  encodeResult,
} from "../../src/protocol/frames.ts";
import type { Random } from "../random.ts";

/** What a frame says, before it is encoded. */
export type Said =
  | {
    readonly kind: "request";
    readonly id: number;
    readonly method: string;
    readonly params: unknown;
  }
  | { readonly kind: "result"; readonly id: number; readonly result: unknown }
  | { readonly kind: "error"; readonly id: number; readonly error: HearthError }
  | { readonly kind: "notification"; readonly method: string; readonly params: unknown };

const ids = [0, 1, 127, 128, 255, 256, 65_535, 65_536, 2 ** 32 - 1];
const numbers = [
  ...ids,
  -1,
  -32,
  -33,
  -128,
  -129,
  -32_769,
  -(2 ** 31) - 1,
  2 ** 32,
  Number.MAX_SAFE_INTEGER,
  Number.MIN_SAFE_INTEGER,
  0.5,
  1e300,
  5e-324,
];
const lengths = [0, 1, 31, 32, 200, 255, 256, 300];
const letters = ["a", "\0", "é", "€", "\u{1f525}", "\u{10ffff}", "\ud7ff", "\ue000"];

/** Draws a frame. */
export function randomFrame(random: Random): Said {
  const id = random.pick([...ids, random.below(2 ** 32)]);
  switch (random.pick(["request", "result", "error", "notification"] as const)) {
    case "request":
      return {
        kind: "request",
        id,
        method: randomText(random, 20),
        params: randomValue(random, 6),
      };
    case "result":
      return { kind: "result", id, result: randomValue(random, 6) };
    case "error": {
      // The keys of the table are its codes: the compiler widens them to strings.
      const code = random.pick(Object.keys(codes)) as keyof typeof codes;
      const details = random.pick([undefined, { version: random.below(9) }, {
        retryAfterMs: 50,
        id: "x",
      }]);
      return {
        kind: "error",
        id,
        error: new ProtocolError(code, randomText(random, 90), { details }),
      };
    }
    case "notification":
      return {
        kind: "notification",
        method: randomText(random, 20),
        params: randomValue(random, 6),
      };
  }
}

/** Encodes what a frame says. */
export function toBytes(said: Said): Uint8Array<ArrayBuffer> {
  switch (said.kind) {
    case "request":
      return encodeRequest(said.id, said.method, said.params);
    case "result":
      return encodeResult(said.id, said.result);
    case "error":
      return encodeError(said.id, said.error);
    case "notification":
      return encodeNotification(said.method, said.params);
  }
}

function randomValue(random: Random, depth: number): unknown {
  const leaf = depth === 0 ? 6 : 8;
  switch (random.below(leaf)) {
    case 0:
      return null;
    case 1:
      return random.below(2) === 1;
    case 2:
      return random.pick(numbers);
    case 3:
      return random.below(2 ** 32);
    case 4:
      return randomText(random, random.pick(lengths));
    case 5:
      return random.bytes(random.pick(lengths));
    case 6:
      return Array.from({ length: random.below(5) }, () => randomValue(random, depth - 1));
    default:
      return Object.fromEntries(
        Array.from({ length: random.below(5) }, (_, at) => [
          `${at}${randomText(random, 4)}`,
          randomValue(random, depth - 1),
        ]),
      );
  }
}

function randomText(random: Random, maxLetters: number): string {
  return Array.from({ length: random.below(maxLetters + 1) }, () => random.pick(letters)).join("");
}
