/** What travels on the bus: bounded messages of MessagePack, parsed at the door. */

import * as v from "valibot";
import { decodeValues } from "../../protocol/decode.ts";
import { encodedLength, encodeValue } from "../../protocol/encode.ts";
import { bytesUpTo, countSchema, ledgerSchema } from "../../protocol/model.ts";
import { maxTellBytes } from "../../protocol/limits.ts";
import type { BusTold, Hint } from "./bus.ts";

/** A message as it was received. */
export interface BusMessage {
  /** The instance that sent it. */
  readonly instance: string;
  readonly hints: readonly Hint[];
  readonly told: readonly BusTold[];
  /** An instance asks itself whether its link is alive. */
  readonly beat: boolean;
}

/** What is to be sent. */
export interface Batch {
  readonly hints: readonly Hint[];
  readonly told: readonly BusTold[];
}

/** Messages, and how many items fit into none. */
export interface EncodedBatch {
  readonly messages: readonly Uint8Array[];
  readonly dropped: number;
}

const messageSchema = v.strictObject({
  instance: v.pipe(v.string(), v.maxLength(64)),
  hints: v.array(v.strictTuple([ledgerSchema, countSchema, v.boolean()])),
  told: v.array(v.strictTuple([ledgerSchema, v.string(), bytesUpTo(maxTellBytes)])),
  beat: v.optional(v.boolean(), false),
});

/** Room for the length of a list, which is counted empty. */
const lengthBytes = 8;

/** Encodes a batch in as many messages as it takes; each is `maxBytes` long at most. */
export function encodeBatch(instance: string, batch: Batch, maxBytes: number): EncodedBatch {
  const room = maxBytes - encodedLength({ instance, hints: [], told: [] }) - lengthBytes;
  const hints = pack(batch.hints.map(({ ledger, seq, keys = false }) => [ledger, seq, keys]), room);
  const told = pack(batch.told.map(({ ledger, from, body }) => [ledger, from, body]), room);
  return {
    messages: [
      ...hints.parts.map((part) => encodeValue({ instance, hints: part, told: [] })),
      ...told.parts.map((part) => encodeValue({ instance, hints: [], told: part })),
    ],
    dropped: hints.dropped + told.dropped,
  };
}

/** A message by which an instance finds out whether its link is alive. */
export function encodeBeat(instance: string): Uint8Array {
  return encodeValue({ instance, hints: [], told: [], beat: true });
}

/** Reads a message; nothing when it is none of ours. */
export function decodeMessage(bytes: Uint8Array): BusMessage | undefined {
  try {
    const [value, ...rest] = decodeValues(bytes);
    const parsed = v.safeParse(messageSchema, value, { abortEarly: true });
    if (!parsed.success || rest.length > 0) return undefined;
    const { instance, hints, told, beat } = parsed.output;
    return {
      instance,
      hints: hints.map(([ledger, seq, keys]) => ({ ledger, seq, keys })),
      told: told.map(([ledger, from, body]) => ({ ledger, from, body })),
      beat,
    };
  } catch {
    // The decoder has refused the bytes: whatever is wrong with them, they are none of ours.
    return undefined;
  }
}

/** Splits a list into parts of so many bytes; an item that fits into none is dropped. */
function pack(items: readonly unknown[], room: number) {
  const parts: unknown[][] = [];
  let left = 0;
  let dropped = 0;
  for (const item of items) {
    const length = encodedLength(item);
    if (length > room) {
      dropped++;
      continue;
    }
    if (length > left || parts.length === 0) {
      parts.push([]);
      left = room;
    }
    parts.at(-1)?.push(item);
    left -= length;
  }
  return { parts, dropped };
}
