/**
 * Frames of MessagePack-RPC, and messages of one or more frames back to back.
 * https://github.com/msgpack-rpc/msgpack-rpc/blob/master/spec.md
 */

import * as v from "valibot";
import { joinBytes } from "../base/bytes.ts";
import { decodeValues, Encoded, encodeList, encodeValue } from "./codec.ts";
import { type Code, codes, type ErrorDetails, HearthError, type Retry } from "./errors.ts";
import type { GuardLimits } from "./guard.ts";
import { blobRefSchema, countSchema } from "./model.ts";

/** Asks for something; `id` is the caller's own and comes back in the reply. */
export interface Request {
  readonly kind: "request";
  readonly id: number;
  readonly method: string;
  readonly params: unknown;
}

/** Answers a request: a result, or an error. */
export interface Reply {
  readonly kind: "reply";
  readonly id: number;
  readonly error: WireError | null;
  readonly result: unknown;
}

/** Says something without being asked. */
export interface Notification {
  readonly kind: "notification";
  readonly method: string;
  readonly params: unknown;
}

/** One unit on the wire. */
export type Frame = Request | Reply | Notification;

/** A {@linkcode HearthError} as it travels. */
export interface WireError {
  readonly code: string;
  readonly message: string;
  readonly retry: Retry;
  readonly details?: ErrorDetails | undefined;
}

const id = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xffff_ffff));
const method = v.pipe(v.string(), v.maxLength(64));

const wireError = v.object({
  code: v.string(),
  message: v.string(),
  retry: v.picklist(["never", "later", "reauth"]),
  details: v.optional(v.object({
    blobs: v.optional(v.array(blobRefSchema)),
    version: v.optional(countSchema),
    retryAfterMs: v.optional(countSchema),
    id: v.optional(v.string()),
  })),
});

const requestSchema = v.strictTuple([v.literal(0), id, method, v.unknown()]);
const replySchema = v.strictTuple([v.literal(1), id, v.nullable(wireError), v.unknown()]);
const notificationSchema = v.strictTuple([v.literal(2), method, v.unknown()]);

/** Encodes a request. */
export function encodeRequest(
  id: number,
  method: string,
  params: unknown,
): Uint8Array<ArrayBuffer> {
  return encodeValue([0, id, method, params]);
}

/** Encodes the reply of a call that went well; its result may be encoded already. */
export function encodeResult(id: number, result: unknown): Uint8Array<ArrayBuffer> {
  const reply = [1, id, null, result];
  return result instanceof Encoded ? encodeList(reply) : encodeValue(reply);
}

/** Encodes the reply of a call that did not. */
export function encodeError(id: number, error: HearthError): Uint8Array<ArrayBuffer> {
  const { code, message, retry, details } = error;
  return encodeValue([1, id, { code, message, retry, details } satisfies WireError, null]);
}

/** Encodes a notification. */
export function encodeNotification(method: string, params: unknown): Uint8Array<ArrayBuffer> {
  return encodeValue([2, method, params]);
}

/**
 * Reads the frames of a message, in order.
 *
 * @throws {HearthError} `BAD_FRAME` when any part of the message is not a frame
 */
export function decodeFrames(message: Uint8Array, limits?: GuardLimits): Frame[] {
  return decodeValues(message, limits).map(toFrame);
}

function toFrame(value: unknown): Frame {
  // The length is checked here, since for the schemas an unknown last value may be missing.
  const parts: readonly unknown[] = Array.isArray(value) ? value : [];
  const kind = parts.length === (parts[0] === 2 ? 3 : 4) ? parts[0] : undefined;
  const options = { abortEarly: true };
  if (kind === 0) {
    const parsed = v.safeParse(requestSchema, value, options);
    if (parsed.success) {
      const [, id, method, params] = parsed.output;
      return { kind: "request", id, method, params };
    }
  } else if (kind === 1) {
    const parsed = v.safeParse(replySchema, value, options);
    if (parsed.success) {
      const [, id, error, result] = parsed.output;
      return { kind: "reply", id, error, result };
    }
  } else if (kind === 2) {
    const parsed = v.safeParse(notificationSchema, value, options);
    if (parsed.success) {
      const [, method, params] = parsed.output;
      return { kind: "notification", method, params };
    }
  }
  throw new HearthError("BAD_FRAME", "Cannot read message: a value in it is no frame");
}

/** Turns an error off the wire back into the error that the other side threw. */
export function toHearthError(error: WireError): HearthError {
  // A newer server may have codes that this release does not know: its advice still holds.
  const code: Code = isCode(error.code) ? error.code : fallback[error.retry];
  const message = isCode(error.code) ? error.message : `${error.code}: ${error.message}`;
  return new HearthError(code, message, { details: error.details });
}

const fallback = { never: "BAD_PARAMS", later: "INTERNAL", reauth: "UNAUTHENTICATED" } as const;

function isCode(code: string): code is Code {
  return Object.hasOwn(codes, code);
}

/** Puts encoded frames back to back into one message. */
export function joinFrames(frames: readonly Uint8Array[]): Uint8Array {
  return frames.length === 1 && frames[0] ? frames[0] : joinBytes(frames);
}
