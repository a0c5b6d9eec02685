/** Bodies over HTTP: read within bounds, answered with frames. */

import { joinBytes } from "../base/bytes.ts";
import { type Clock, pause } from "../base/clock.ts";
import { type Code, HearthError, statusOf } from "../protocol/errors.ts";
import { encodeNotification } from "../protocol/frames.ts";
import type { Notice } from "../protocol/methods.ts";
import { contentType } from "../protocol/version.ts";

/** Answers with frames. */
export function framesResponse(body: Uint8Array<ArrayBuffer>, status: number): Response {
  return new Response(body, {
    status,
    headers: { "content-type": contentType, "cache-control": "no-store" },
  });
}

/** Answers with an error that belongs to no request: its body is an `error` notice. */
export function errorResponse({ code, message }: HearthError): Response {
  const notice = { code, message } satisfies Notice<"error">;
  const response = withoutKeepAlive(
    framesResponse(encodeNotification("error", notice), statusOf(code)),
  );
  if (code === "UNAUTHENTICATED") response.headers.set("www-authenticate", "Bearer");
  return response;
}

/** Ends the connection behind an answer that may come before the whole request has been read. */
export function withoutKeepAlive(response: Response): Response {
  response.headers.set("connection", "close");
  return response;
}

/** How long a body may pause. */
const stallMs = 30_000;

/**
 * The pieces of a request's body.
 *
 * @throws {HearthError} `BAD_FRAME` when the body stalls or breaks off
 */
export async function* readPieces(
  body: ReadableStream<Uint8Array> | null,
  clock: Clock,
  stallCode: Code = "BAD_FRAME",
): AsyncGenerator<Uint8Array> {
  if (!body) return;
  const reader = body.getReader();
  try {
    for (;;) {
      const piece = await nextPiece(reader, clock, stallCode);
      if (piece.done) return;
      yield piece.value;
    }
  } finally {
    // Not cancelled: that would cut the connection before the sender has read why. What is still on
    // its way is thrown away by the adapter, for half a second at most.
    reader.releaseLock();
  }
}

/** Reads a whole body of at most so many bytes. @throws {HearthError} `TOO_LARGE`, `BAD_FRAME` */
export async function readWhole(
  request: Request,
  maxBytes: number,
  clock: Clock,
): Promise<Uint8Array> {
  const tooLarge = (): never => {
    throw new HearthError("TOO_LARGE", `Cannot read the body: it exceeds ${maxBytes} bytes`);
  };
  if (Number(request.headers.get("content-length") ?? 0) > maxBytes) tooLarge();
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of readPieces(request.body, clock)) {
    size += piece.length;
    if (size > maxBytes) tooLarge();
    pieces.push(piece);
  }
  return joinBytes(pieces);
}

async function nextPiece(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  clock: Clock,
  code: Code,
): Promise<ReadableStreamReadResult<Uint8Array>> {
  const arrived = new AbortController();
  const stalled = pause(clock, stallMs, arrived.signal).then(() => undefined);
  try {
    const piece = await Promise.race([reader.read(), stalled]);
    if (piece) return piece;
  } catch (cause) {
    throw new HearthError(code, "Cannot read the body: it broke off", { cause });
  } finally {
    arrived.abort();
  }
  throw new HearthError(code, `Cannot read the body: nothing came for ${stallMs} ms`);
}
