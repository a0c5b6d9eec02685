/** What the client takes from the world around it, so that tests own the world. */

import { type Clock, systemClock } from "../base/clock.ts";
import { createHttpDialer } from "../transport/http.ts";
import type { Dialer } from "../transport/transport.ts";
import { createWebSocketDialer } from "../transport/websocket.ts";

/** The world of a client. */
export interface ClientDeps {
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
  /** Reaches signed URLs. */
  readonly fetch: typeof fetch;
  readonly websocket: Dialer;
  readonly http: Dialer;
  /** Says `online` and `offline`, where there is somebody who does. */
  readonly network: Pick<EventTarget, "addEventListener" | "removeEventListener"> | undefined;
}

/** The world as it is, with a server at this base URL. */
export function createDeps(baseUrl: string): ClientDeps {
  const clock = systemClock;
  // Looked up at each call, since a page may wrap it later.
  const fetch: typeof globalThis.fetch = (input, init) => globalThis.fetch(input, init);
  return {
    clock,
    random: Math.random,
    fetch,
    websocket: createWebSocketDialer(baseUrl),
    http: createHttpDialer(baseUrl, { fetch, clock }),
    network: hasEvents(globalThis) ? globalThis : undefined,
  };
}

/** Node's global object is no event target. */
function hasEvents(
  global: object,
): global is Pick<EventTarget, "addEventListener" | "removeEventListener"> {
  return "addEventListener" in global && "removeEventListener" in global;
}
