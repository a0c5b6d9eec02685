/** Bodies that come over HTTP, read within bounds of size and time. */

import type { IncomingMessage } from "node:http";
import { joinBytes } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { type Code, HearthError } from "../protocol/errors.ts";

/** How long a body may pause. */
const stallMs = 30_000;

/** Reads a whole body of at most so many bytes. @throws {HearthError} `TOO_LARGE`, `BAD_FRAME` */
export async function readWhole(
  incoming: IncomingMessage,
  maxBytes: number,
  clock: Clock,
): Promise<Uint8Array> {
  const tooLarge = (): never => {
    throw new HearthError("TOO_LARGE", `Cannot read the body: it exceeds ${maxBytes} bytes`);
  };
  if (Number(incoming.headers["content-length"] ?? 0) > maxBytes) tooLarge();
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of readPieces(incoming, clock)) {
    size += piece.length;
    if (size > maxBytes) tooLarge();
    pieces.push(piece);
  }
  return joinBytes(pieces);
}

/**
 * The pieces of a request's body. They are read from Node's own stream: a web stream around it takes
 * several turns of the loop even for a body that is here already, and requests that came together
 * would not be answered together.
 *
 * A reader that leaves early leaves the rest alone: to destroy it would cut the connection before
 * the sender has read why. The adapter throws away what still comes, for half a second at most.
 *
 * @param code of the error when the body stalls or breaks off
 * @throws {HearthError}
 */
export async function* readPieces(
  incoming: IncomingMessage,
  clock: Clock,
  code: Code = "BAD_FRAME",
): AsyncGenerator<Uint8Array> {
  for (;;) {
    const piece: Uint8Array | null = incoming.read();
    if (piece) yield piece;
    else if (incoming.readableEnded) return;
    else if (incoming.destroyed) {
      throw new HearthError(code, "Cannot read the body: it broke off", {
        cause: incoming.errored ?? undefined,
      });
    } else if (!await changes(incoming, clock)) {
      throw new HearthError(code, `Cannot read the body: nothing came for ${stallMs} ms`);
    }
  }
}

/** Waits until there is something to read, or never will be. @returns false when it takes too long */
function changes(incoming: IncomingMessage, clock: Clock): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (changed: boolean): void => {
      cancel();
      for (const event of changeEvents) incoming.off(event, onChange);
      resolve(changed);
    };
    const onChange = (): void => end(true);
    const cancel = clock.after(stallMs, () => end(false));
    for (const event of changeEvents) incoming.on(event, onChange);
  });
}

const changeEvents = ["readable", "end", "error", "close"] as const;
