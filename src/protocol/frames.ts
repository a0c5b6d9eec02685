/**
 * Frames of MessagePack-RPC, and messages of one or more frames back to back.
 * https://github.com/msgpack-rpc/msgpack-rpc/blob/master/spec.md
 */

import * as v from "valibot";
import { joinBytes } from "../base/bytes.ts";
import { type DecodeLimits, decodeValues } from "./decode.ts";
import { Encoded, encodeList, encodeValue } from "./encode.ts";
import { type Code, codes, type ErrorDetails, HearthError, type Retry } from "./errors.ts";
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

const maxId = 0xffff_ffff;
const maxMethodLength = 64;

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
export function decodeFrames(message: Uint8Array, limits?: DecodeLimits): Frame[] {
  return decodeValues(message, limits).map(toFrame);
}

function toFrame(value: unknown): Frame {
  const parts: readonly unknown[] = Array.isArray(value) ? value : [];
  if (parts.length === 4 && parts[0] === 0) {
    const [, id, method, params] = parts;
    if (isId(id) && isMethod(method)) return { kind: "request", id, method, params };
  } else if (parts.length === 4 && parts[0] === 1) {
    const [, id, error, result] = parts;
    if (isId(id) && error === null) return { kind: "reply", id, error, result };
    const parsed = v.safeParse(wireError, error, { abortEarly: true });
    if (isId(id) && parsed.success) return { kind: "reply", id, error: parsed.output, result };
  } else if (parts.length === 3 && parts[0] === 2) {
    const [, method, params] = parts;
    if (isMethod(method)) return { kind: "notification", method, params };
  }
  throw new HearthError("BAD_FRAME", "Cannot read message: a value in it is no frame");
}

function isId(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) <= maxId;
}

function isMethod(value: unknown): value is string {
  return typeof value === "string" && value.length <= maxMethodLength;
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
