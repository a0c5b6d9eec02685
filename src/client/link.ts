/** One link to the server, from its transport's opening to its end; requests and notices on it. */

import type { Clock } from "../base/clock.ts";
import { HearthError } from "../protocol/errors.ts";
import {
  decodeFrames,
  encodeNotification,
  type Frame,
  joinFrames,
  type Notification,
  type Reply,
  toHearthError,
} from "../protocol/frames.ts";
import type { HelloResult, MethodTable } from "../protocol/method_table.ts";
import { isNotificationName, type Notice, type NotificationName } from "../protocol/methods.ts";
import { parseNotice, parseResult } from "../protocol/parse.ts";
import type { Transport } from "../transport/transport.ts";
import type { Via } from "./connection_state.ts";
import type { Method, OutgoingRequest } from "./request.ts";
import { Watchdog } from "./watchdog.ts";

/** Whom a link calls. */
export interface LinkEvents {
  /** Anything was received. */
  onHeard(link: Link): void;
  /** The server said something of its own accord. */
  onNotice(link: Link, notice: AnyNotice): void;
  /** The link has ended, and why; called once, and only after `start`. */
  onEnd(link: Link, error: HearthError): void;
}

/** A notification, read. */
export type AnyNotice = {
  readonly [N in NotificationName]: { readonly name: N; readonly body: Notice<N> };
}[NotificationName];

/** Options of {@linkcode Link.request}. */
export interface RequestOptions {
  readonly signal?: AbortSignal | undefined;
  /** How long no answer at all may come before the link counts as lost. @default by size */
  readonly patienceMs?: number | undefined;
  /** How large the answer may be. @default 0 */
  readonly expectBytes?: number | undefined;
  /** Send it in a message of its own, since its answer will take its time. @default false */
  readonly alone?: boolean | undefined;
}

/** Bytes of requests without an answer; what comes beyond waits here, so that a ping gets through. */
const windowBytes = 2 << 20;
/** The line that is slow but not dead: 32 KiB/s. */
const slowBytesPerMs = 32;
/**
 * Deno writes the head and the body of a larger message apart, and by Nagle's algorithm the body
 * then waits until the head is acknowledged: 40 ms, measured, for each commit. The answer to a ping
 * ahead of both acknowledges at once (2 ms); other runtimes do not wait, and lose nothing by it.
 */
const atOnceBytes = 1024;
const basePatienceMs = 30_000;
/** Most that messages under way are allowed on top of the heartbeat's grace. */
const maxAllowanceMs = 30_000;
/** Answers hold thousands of metas: the bound is for a server gone mad. */
const maxItems = 2 ** 20;

interface Waiting {
  readonly request: OutgoingRequest<Method>;
  readonly bytes: number;
  readonly patienceMs: number;
  /** When it was handed to the transport. */
  sentAt: number | undefined;
  settle(reply: Reply): void;
  fail(error: HearthError): void;
}

/** An open link. */
export class Link {
  readonly via: Via;
  readonly #clock: Clock;
  readonly #ended = new AbortController();
  readonly #waiting = new Map<number, Waiting>();
  readonly #watchdog: Watchdog;
  #transport: Transport | undefined;
  #session: HelloResult | undefined;
  #events: LinkEvents | undefined;
  #queue: Waiting[] = [];
  #flushing = false;
  #underWayBytes = 0;
  #answeredAt = 0;
  #farewell: HearthError | undefined;

  constructor(via: Via, clock: Clock) {
    this.via = via;
    this.#clock = clock;
    this.#watchdog = new Watchdog(clock, () => this.#nextDeadline(), (waitedMs) => {
      this.end(new HearthError("TIMEOUT", `Lost the link: no answer came for ${waitedMs} ms`));
    });
  }

  /** What the server answered to `hello`; there once the link has started. */
  get session(): HelloResult {
    if (!this.#session) throw new TypeError("The link has not said hello yet");
    return this.#session;
  }

  /** Aborted when the link ends, with the reason. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  /** Whether the server can send by itself. */
  get pushes(): boolean {
    return this.#transport?.pushes ?? false;
  }

  /** What a slow line may need for the messages under way, on top of a heartbeat's grace. */
  get allowanceMs(): number {
    return Math.min(maxAllowanceMs, this.#underWayBytes / slowBytesPerMs);
  }

  /** Gives the link its transport. */
  attach(transport: Transport): void {
    this.#transport = transport;
    if (this.signal.aborted) transport.close();
  }

  /** Tells the link that the hello was answered, and whom to call from now on. */
  start(session: HelloResult, events: LinkEvents): void {
    this.#session = session;
    this.#events = events;
  }

  /**
   * Sends a request, once.
   *
   * @throws {HearthError} the server's error, or `CLOSED` when the link ends before the answer
   */
  request<M extends Method>(
    request: OutgoingRequest<M>,
    options: RequestOptions = {},
  ): Promise<MethodTable[M]["result"]> {
    const { signal, expectBytes = 0, alone = false } = options;
    const bytes = request.frame.length + expectBytes;
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      this.#admit(request);
      const onAbort = () => {
        done();
        reject(signal?.reason);
      };
      const done = () => {
        signal?.removeEventListener("abort", onAbort);
        this.#forget(waiting);
      };
      const waiting: Waiting = {
        request,
        bytes,
        patienceMs: options.patienceMs ?? basePatienceMs + bytes / slowBytesPerMs,
        sentAt: undefined,
        settle: ({ error, result }) => {
          done();
          if (error) return reject(toHearthError(error));
          try {
            resolve(parseResult(request.method, result));
          } catch (error) {
            reject(error);
          }
        },
        fail: (error) => {
          done();
          reject(error);
        },
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#waiting.set(request.id, waiting);
      if (alone) {
        this.#send([waiting]);
      } else {
        this.#queue.push(waiting);
        this.#flushSoon();
      }
    });
  }

  /** Says something that has no answer, ahead of everything that waits. */
  notify(name: "ping" | "pong"): void {
    this.#transport?.send(encodeNotification(name, {}));
  }

  /** Ends the link; requests without an answer reject with `CLOSED`. */
  end(error: HearthError): void {
    if (this.signal.aborted) return;
    const reason = this.#farewell ?? error;
    this.#ended.abort(reason);
    this.#transport?.close();
    const cause = { cause: reason };
    for (const { request, fail } of [...this.#waiting.values()]) {
      fail(new HearthError("CLOSED", `Cannot finish ${request.method}: the link ended`, cause));
    }
    this.#events?.onEnd(this, reason);
  }

  /** Takes a message off the transport. */
  receive(message: Uint8Array): void {
    if (this.signal.aborted) return;
    try {
      const frames = decodeFrames(message, { maxItems });
      this.#events?.onHeard(this);
      for (const frame of frames) this.#take(frame);
    } catch (error) {
      // A server whose messages cannot be read is as good as none.
      if (!(error instanceof HearthError)) throw error;
      this.end(error);
    }
  }

  #take(frame: Frame): void {
    if (this.signal.aborted) return;
    switch (frame.kind) {
      case "reply":
        this.#answeredAt = this.#clock.now();
        // An id that is not waiting belongs to a call that its caller gave up.
        return this.#waiting.get(frame.id)?.settle(frame);
      case "notification":
        return this.#hear(frame);
      case "request":
        // The server asks nothing in this version of the protocol; a later one may, and copes.
        return;
      default:
        frame satisfies never;
    }
  }

  #hear({ method: name, params }: Notification): void {
    // A newer server may know more notifications.
    if (!isNotificationName(name)) return;
    // The compiler cannot see that the name and the body belong together.
    const notice = { name, body: parseNotice(name, params) } as AnyNotice;
    if (notice.name === "ping") this.notify("pong");
    if (notice.name === "error") {
      const { code, message } = notice.body;
      this.#farewell = toHearthError({ code, message, retry: "later" });
      // A socket is closed by the server, which knows best with which code.
      if (!this.pushes) this.end(this.#farewell);
    }
    this.#events?.onNotice(this, notice);
  }

  #admit({ method, frame }: OutgoingRequest<Method>): void {
    if (this.signal.aborted) {
      throw new HearthError("CLOSED", `Cannot send ${method}: the link has ended`, {
        cause: this.signal.reason,
      });
    }
    const maxBytes = this.#session?.limits.messageBytes ?? Infinity;
    if (frame.length > maxBytes) {
      throw new HearthError(
        "TOO_LARGE",
        `Cannot send ${method}: its ${frame.length} bytes exceed the server's ${maxBytes}`,
      );
    }
  }

  #forget(waiting: Waiting): void {
    this.#waiting.delete(waiting.request.id);
    if (waiting.sentAt === undefined) {
      this.#queue = this.#queue.filter((other) => other !== waiting);
    } else {
      this.#underWayBytes -= waiting.bytes;
      if (this.#queue.length > 0) this.#flushSoon();
    }
    if (this.#waiting.size === 0) this.#watchdog.stop();
  }

  /** What is called in one turn goes in one message. */
  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    const messageBytes = this.#session?.limits.messageBytes ?? Infinity;
    while (this.#queue.length > 0 && this.#underWayBytes < windowBytes && !this.signal.aborted) {
      let count = 0;
      let size = 0;
      for (const { request: { frame } } of this.#queue) {
        if (count > 0 && size + frame.length > messageBytes) break;
        size += frame.length;
        count++;
      }
      this.#send(this.#queue.splice(0, count));
    }
  }

  #send(batch: readonly Waiting[]): void {
    const now = this.#clock.now();
    for (const waiting of batch) {
      waiting.sentAt = now;
      this.#underWayBytes += waiting.bytes;
    }
    this.#watchdog.start();
    const message = joinFrames(batch.map(({ request }) => request.frame));
    if (this.pushes && message.length > atOnceBytes) this.notify("ping");
    this.#transport?.send(message);
  }

  /** When the most impatient request has waited too long, counted from the last answer to any. */
  #nextDeadline(): number | undefined {
    let first: number | undefined;
    for (const { sentAt, patienceMs } of this.#waiting.values()) {
      if (sentAt === undefined) continue;
      const deadline = Math.max(sentAt, this.#answeredAt) + patienceMs;
      if (first === undefined || deadline < first) first = deadline;
    }
    return first;
  }
}
