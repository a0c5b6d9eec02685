/** Messages over HTTP: each one sent is a POST, and what the server has to say comes in its answer. */

import type { Clock } from "../base/clock.ts";
import { HearthError } from "../protocol/errors.ts";
import { contentType, paths } from "../protocol/version.ts";
import { toEndpoint } from "./endpoint.ts";
import { readBody } from "./read_body.ts";
import type { Dialer, DialOptions, Transport, TransportEvents } from "./transport.ts";

/** What {@linkcode createHttpDialer} works with. */
export interface HttpDeps {
  readonly fetch: typeof fetch;
  readonly clock: Clock;
}

/**
 * Requests at once; what comes beyond waits in order. Browsers allow six to a host, and the polls of
 * watches (bounded by client/subscriptions.ts) must leave room for calls and downloads.
 */
const maxRequests = 5;
/** How long an answer may take to begin: longer than any `poll` waits. */
const answerTimeoutMs = 45_000;
const stallMs = 15_000;
/** No honest answer comes near: the inline budget and the frames around it are a few MiB. */
const maxAnswerBytes = 64 << 20;

/** Opens links of POSTs to the server at a base URL. Opening sends nothing: the first message tells. */
export function createHttpDialer(baseUrl: string, deps: HttpDeps): Dialer {
  const url = toEndpoint(baseUrl, paths.rpc);
  return {
    open(events, options) {
      options.signal.throwIfAborted();
      return Promise.resolve(new HttpTransport(url, events, options, deps));
    },
  };
}

class HttpTransport implements Transport {
  readonly pushes = false;
  readonly #url: URL;
  readonly #events: TransportEvents;
  readonly #token: () => string | undefined;
  readonly #deps: HttpDeps;
  readonly #ended = new AbortController();
  readonly #waiting: Uint8Array[] = [];
  #running = 0;
  #bufferedBytes = 0;

  constructor(url: URL, events: TransportEvents, { token }: DialOptions, deps: HttpDeps) {
    this.#url = url;
    this.#events = events;
    this.#token = token;
    this.#deps = deps;
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  send(message: Uint8Array): void {
    if (this.#ended.signal.aborted) return;
    // Bounded by the client: calls.ts limits what may be pending, link.ts what may be under way.
    this.#waiting.push(message);
    this.#bufferedBytes += message.length;
    this.#pump();
  }

  close(code = 1000, reason = ""): void {
    if (this.#ended.signal.aborted) return;
    this.#ended.abort(new HearthError("CLOSED", "Cannot finish the request: the link has ended"));
    this.#waiting.length = 0;
    queueMicrotask(() => this.#events.onClose({ code, reason }));
  }

  #pump(): void {
    while (this.#running < maxRequests) {
      const message = this.#waiting.shift();
      if (!message) return;
      this.#running++;
      this.#post(message).catch((error: unknown) => this.#fail(error)).finally(() => {
        this.#running--;
        this.#bufferedBytes -= message.length;
        this.#pump();
      });
    }
  }

  #fail(error: unknown): void {
    const code = error instanceof HearthError && error.code === "UNAUTHENTICATED" ? 4401 : 1006;
    this.close(code, error instanceof Error ? error.message : String(error));
  }

  async #post(message: Uint8Array): Promise<void> {
    const { fetch, clock } = this.#deps;
    const slow = new AbortController();
    const cancel = clock.after(answerTimeoutMs, () => {
      slow.abort(new HearthError("TIMEOUT", `No answer came within ${answerTimeoutMs} ms`));
    });
    const token = this.#token();
    const response = await fetch(this.#url, {
      method: "POST",
      headers: {
        "content-type": contentType,
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      // The type says that the bytes may be shared memory; nothing here makes such.
      body: message as Uint8Array<ArrayBuffer>,
      signal: AbortSignal.any([slow.signal, this.#ended.signal]),
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
    }).finally(cancel);
    const body = await readBody(response, { clock, maxBytes: maxAnswerBytes, stallMs });
    if (this.#ended.signal.aborted) return;
    if (!isFrames(response)) throw toError(response);
    if (body.length > 0) this.#events.onMessage(body);
  }
}

/** Frames may come with any status; without them (a proxy's page, say) only the status speaks. */
function isFrames(response: Response): boolean {
  const type = response.headers.get("content-type") ?? "";
  return type.split(";")[0]?.trim() === contentType || response.status === 204;
}

function toError(response: Response): HearthError {
  const code = response.status === 401 ? "UNAUTHENTICATED" : "UNAVAILABLE";
  return new HearthError(code, `Cannot read answer: HTTP ${response.status} without frames`);
}
