/** Opens a link: dials, says hello, and tells why when that fails. */

import type { Clock } from "../base/clock.ts";
import { type Code, HearthError } from "../protocol/errors.ts";
import { helloTimeoutMs } from "../protocol/limits.ts";
import { protocolVersion } from "../protocol/version.ts";
import type { CloseReason, Dialer } from "../transport/transport.ts";
import type { Via } from "./connection_state.ts";
import { withDeadline } from "./deadline.ts";
import { Link, type LinkEvents } from "./link.ts";
import { createRequest } from "./request.ts";

/** Options of {@linkcode openLink}. */
export interface OpenLinkOptions {
  readonly dialer: Dialer;
  readonly via: Via;
  /** The token to open with. */
  readonly token: string;
  /** The token in force, for transports that carry it with each message. */
  readonly currentToken: () => string | undefined;
  readonly clock: Clock;
  readonly events: LinkEvents;
  readonly signal: AbortSignal;
}

/**
 * Dials and says hello.
 *
 * @throws {HearthError} the server's refusal of the hello, `TIMEOUT` or `CLOSED`
 */
export async function openLink(options: OpenLinkOptions): Promise<Link> {
  const { dialer, via, token, currentToken, clock, signal } = options;
  const link = new Link(via, clock);
  const deadline = { clock, ms: helloTimeoutMs, signal };
  const transport = await withDeadline((signal) => {
    return dialer.open({
      onMessage: (message) => link.receive(message),
      onClose: (reason) => link.end(toClosedError(reason)),
    }, { token: currentToken, signal });
  }, { ...deadline, what: `open a link by ${via}` });
  link.attach(transport);
  try {
    const hello = createRequest("hello", { version: protocolVersion, token, client: "hearth-js" });
    const session = await withDeadline((signal) => link.request(hello, { signal }), {
      ...deadline,
      what: `say hello by ${via}`,
    });
    link.start(session, options.events);
    return link;
  } catch (error) {
    link.end(new HearthError("CLOSED", "The link was not opened", { cause: error }));
    // When the link ended under the hello, the reason of its end says more.
    if (error instanceof HearthError && error.code === "CLOSED" && error.cause) throw error.cause;
    throw error;
  }
}

/** Codes by which a closed socket tells more than that it is closed. */
const codeOfClose: Readonly<Record<number, Code>> = {
  1001: "UNAVAILABLE",
  1013: "SLOW_CONSUMER",
  4401: "UNAUTHENTICATED",
};

function toClosedError({ code, reason }: CloseReason): HearthError {
  const detail = reason === "" ? "" : `: ${reason}`;
  return new HearthError(codeOfClose[code] ?? "CLOSED", `The link closed with ${code}${detail}`);
}
