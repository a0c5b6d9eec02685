/** Reads an HTTP body for as long as it keeps coming: slow is fine, stuck is not. */

import { joinBytes } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { HearthError } from "../protocol/errors.ts";

/** Options of {@linkcode readBody}. */
export interface ReadBodyOptions {
  readonly clock: Clock;
  /** Refuse more than this. */
  readonly maxBytes: number;
  /** Give up when nothing has come for so long. */
  readonly stallMs: number;
}

/**
 * Reads a body whole.
 *
 * @throws {HearthError} `TOO_LARGE` beyond `maxBytes`, `TIMEOUT` when it stalls, and what the body
 * itself throws
 */
export async function readBody(
  response: Response,
  { clock, maxBytes, stallMs }: ReadBodyOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  if (!response.body) return new Uint8Array();
  const reader = response.body.getReader();
  const pieces: Uint8Array[] = [];
  let size = 0;
  try {
    for (;;) {
      const { done, value } = await withStall(reader.read(), clock, stallMs);
      if (done) return joinBytes(pieces);
      size += value.length;
      if (size > maxBytes) {
        throw new HearthError("TOO_LARGE", `Cannot read body: it exceeds ${maxBytes} bytes`);
      }
      pieces.push(value);
    }
  } catch (error) {
    // The body is of no more use; that cancelling it fails as well says nothing new.
    reader.cancel(error).catch(() => {});
    throw error;
  }
}

function withStall<T>(promise: Promise<T>, clock: Clock, stallMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(stallMs, () => {
      reject(new HearthError("TIMEOUT", `Cannot read body: nothing came for ${stallMs} ms`));
    });
    promise.then(resolve, reject).finally(cancel);
  });
}
