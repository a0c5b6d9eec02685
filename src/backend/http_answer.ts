/** Answers over HTTP. */

import { type HearthError, statusOf } from "../protocol/errors.ts";
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
