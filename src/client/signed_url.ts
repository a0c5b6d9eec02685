/** Moves one blob to or from a signed URL: of the server, or of the store behind it. */

import type { Clock } from "../base/clock.ts";
import { type Code, codes, HearthError } from "../protocol/errors.ts";
import type { BlobRef } from "../protocol/model.ts";
import { readBody } from "../transport/read_body.ts";
import { withDeadline } from "./deadline.ts";

/** What is needed to reach a signed URL. */
export interface SignedUrlDeps {
  readonly fetch: typeof fetch;
  readonly clock: Clock;
}

/** Where to send a request, and what to send along. */
export interface SignedTarget {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
}

/** A blob's bytes and the digest that names them. */
export interface DigestedBlob extends BlobRef {
  readonly digest: Uint8Array;
  readonly size: number;
}

/** SHA-256 of bytes. */
export async function sha256(bytes: Uint8Array): Promise<Uint8Array> {
  // The type says that the bytes may be shared memory; nothing here makes such.
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>));
}

/** Refuses bytes that are not those announced. @throws {HearthError} `DIGEST_MISMATCH` */
export async function checkDigest(blob: DigestedBlob, bytes: Uint8Array): Promise<void> {
  const digest = await sha256(bytes);
  if (bytes.length === blob.size && digest.every((byte, at) => byte === blob.digest[at])) return;
  throw new HearthError("DIGEST_MISMATCH", `Cannot use blob ${blob.cid}: its bytes are others`);
}

/** Uploads. @throws {HearthError} by the status answered; `CLOSED` when nobody can be reached */
export async function putBytes(
  target: SignedTarget,
  bytes: Uint8Array,
  { fetch, clock }: SignedUrlDeps,
  signal: AbortSignal,
): Promise<void> {
  // An upload shows no progress to go by: the slowest line that is let be does 16 KiB/s.
  const ms = 60_000 + bytes.length / 16;
  const response = await withDeadline((signal) => {
    return reach(fetch, target, {
      method: "PUT",
      // The type says that the bytes may be shared memory; nothing here makes such.
      body: bytes as Uint8Array<ArrayBuffer>,
      signal,
    });
  }, { clock, ms, signal, what: "upload a blob" });
  await response.body?.cancel();
  if (!response.ok) throw toError(response);
}

/** Downloads and checks. @throws {HearthError} as {@linkcode putBytes}, and `DIGEST_MISMATCH` */
export async function getBytes(
  target: SignedTarget,
  blob: DigestedBlob,
  { fetch, clock }: SignedUrlDeps,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const done = new AbortController();
  try {
    const either = AbortSignal.any([signal, done.signal]);
    const response = await withDeadline((opening) => {
      return reach(fetch, target, { signal: AbortSignal.any([either, opening]) });
    }, { clock, ms: stallMs, signal: either, what: "download a blob" });
    if (!response.ok) throw toError(response);
    const bytes = await readBody(response, { clock, maxBytes: blob.size, stallMs })
      .catch((cause) => {
        signal.throwIfAborted();
        throw cause instanceof HearthError ? cause : toLinkError(cause, target);
      });
    await checkDigest(blob, bytes);
    return bytes;
  } finally {
    done.abort();
  }
}

const stallMs = 15_000;

async function reach(
  fetch: SignedUrlDeps["fetch"],
  target: SignedTarget,
  init: RequestInit,
): Promise<Response> {
  const { url, headers } = target;
  try {
    return await fetch(url, { ...init, headers, credentials: "omit", cache: "no-store" });
  } catch (cause) {
    init.signal?.throwIfAborted();
    throw toLinkError(cause, target);
  }
}

/** Without the URL's query: that is the signature, and some runtimes write it into their errors. */
function toLinkError(cause: unknown, { url }: SignedTarget): HearthError {
  const texts: string[] = [];
  for (let it = cause; it instanceof Error && texts.length < 3; it = it.cause) {
    texts.push(it.message);
  }
  const found = texts.join(": ").split(url.search || "\0").join("?…") || "the request failed";
  const place = `${url.origin}${url.pathname}`;
  return new HearthError("CLOSED", `Cannot reach ${place}: ${found}`);
}

/** Statuses that mean one thing only; a refused or vanished URL is to be signed anew. */
const codeOfStatus: Readonly<Record<number, Code>> = {
  [codes.TOO_LARGE.status]: "TOO_LARGE",
  [codes.DIGEST_MISMATCH.status]: "DIGEST_MISMATCH",
  [codes.RATE_LIMITED.status]: "RATE_LIMITED",
  [codes.STORAGE_FULL.status]: "STORAGE_FULL",
  [codes.FORBIDDEN.status]: "FORBIDDEN",
  [codes.NOT_FOUND.status]: "NOT_FOUND",
};

function toError(response: Response): HearthError {
  const seconds = Number(response.headers.get("retry-after") ?? 0);
  const retryAfterMs = Number.isFinite(seconds) ? seconds * 1000 : 0;
  const code = codeOfStatus[response.status] ?? "UNAVAILABLE";
  return new HearthError(code, `Cannot use a signed URL: HTTP ${response.status}`, {
    details: { retryAfterMs },
  });
}
