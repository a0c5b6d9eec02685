/** One WebSocket connection: messages in, frames out, and every reason for which it ends. */

import type { Buffer } from "node:buffer";
import type { WebSocket } from "ws";
import { closeCodeOf, type Code, HearthError } from "../protocol/errors.ts";
import { decodeFrames, encodeError, encodeNotification, type Request } from "../protocol/frames.ts";
import { helloTimeoutMs } from "../protocol/limits.ts";
import { isNotificationName, type Notice } from "../protocol/methods.ts";
import { parseNotice } from "../protocol/parse.ts";
import { type Connection, roundMs } from "./connections.ts";
import { dispatch, toPublicError } from "./dispatch.ts";
import type { Services, SocketPeer } from "./handler.ts";
import { Heartbeat } from "./heartbeat.ts";
import { errorFields } from "./log.ts";
import { RequestQueue } from "./request_queue.ts";
import { SendQueue } from "./send_queue.ts";
import type { Session } from "./session.ts";
import { Watches } from "./watches.ts";

/** Most requests that may wait, when a peer's reading cannot be held up: what a read brings at most. */
const maxWaiting = 4096;

/** Serves one connection, from its opening to its end. */
export class Socket implements SocketPeer, Connection {
  readonly via = "websocket";
  readonly baseUrl: string;
  readonly watches: Watches;
  readonly #services: Services;
  readonly #socket: WebSocket;
  readonly #queue: SendQueue;
  readonly #requests: RequestQueue;
  readonly #heartbeat: Heartbeat;
  readonly #onEnd: () => void;
  #session: Session | undefined;
  #helloAsked = false;
  /** The end of the time for hello, then that of the token; epoch ms. */
  #endsAt: number;
  #effects: (() => void)[] = [];
  #closing = false;
  #gone = false;

  /** @param onEnd called once, when the connection is gone */
  constructor(services: Services, socket: WebSocket, baseUrl: string, onEnd: () => void) {
    this.#services = services;
    this.#socket = socket;
    this.#onEnd = onEnd;
    this.baseUrl = baseUrl;
    this.#endsAt = services.clock.now() + helloTimeoutMs;
    this.#queue = new SendQueue(socket, {
      clock: services.clock,
      turn: services.flushTurn,
      onFull: () =>
        this.#fail(new HearthError("SLOW_CONSUMER", "Cannot push: the connection does not read")),
    });
    this.watches = new Watches({
      services,
      queue: this.#queue,
      afterReply: (effect) => void this.#effects.push(effect),
      onError: (error) => this.#failWatch(error),
    });
    this.#requests = new RequestQueue({
      handle: (request) => this.#handle(request),
      onCrowded: (crowded) => crowded ? socket.pause() : socket.resume(),
    });
    this.#heartbeat = new Heartbeat(services.heartbeatMs);
    this.#listen();
  }

  get session(): Session | undefined {
    return this.#session;
  }

  adopt(session: Session): void {
    this.#session = session;
    this.#endsAt = session.expiresAt;
    // A watch that the new token does not cover cannot end by itself: the client watches again on a
    // new connection, and each watch gets its answer.
    if (!this.watches.allowedBy(session)) this.#effects.push(() => void this.stop(0));
  }

  look(): void {
    if (this.#closing) return;
    if (this.#services.clock.now() >= this.#endsAt) return this.#expire();
    switch (this.#heartbeat.pass(roundMs, this.#queue.bytes)) {
      case "ask":
        return this.#ping();
      case "give up":
        return this.#socket.terminate();
    }
  }

  /** Ends the connection kindly: what was asked is answered, and the client is told when to return. */
  async stop(resumeAfterMs: number): Promise<void> {
    if (this.#closing) return;
    this.#notify("closing", { resumeAfterMs });
    this.#queue.flush();
    this.#socket.pause();
    await this.#requests.settled();
    this.#close(closeCodeOf("UNAVAILABLE") ?? 1001, "going away");
  }

  /** Ends the connection at once. */
  terminate(): void {
    this.#socket.terminate();
  }

  #listen(): void {
    const socket = this.#socket;
    const seen = () => this.#heartbeat.seen();
    socket.on("ping", seen);
    socket.on("pong", seen);
    socket.on("message", (data, isBinary) => {
      seen();
      // `ws` gives one Buffer a message, as long as its `binaryType` is left alone.
      if (!this.#closing) this.#receive(data as Buffer, isBinary);
    });
    // Broken links and illegal frames; `close` follows.
    socket.on("error", (error) => this.#services.log.debug("socket error", errorFields(error)));
    socket.on("close", () => this.#end());
  }

  #receive(data: Uint8Array, isBinary: boolean): void {
    try {
      if (!isBinary) throw new HearthError("BAD_FRAME", "Cannot read message: it is text");
      if (data.length > this.#services.limits.messageBytes) {
        throw new HearthError("TOO_LARGE", `Cannot read message: it has ${data.length} bytes`);
      }
      for (const frame of decodeFrames(data)) {
        if (frame.kind === "reply") {
          throw new HearthError("BAD_FRAME", "Cannot read message: the server asked nothing");
        }
        if (frame.kind === "request") this.#ask(frame);
        else this.#hear(frame.method, frame.params);
        if (this.#closing) return;
      }
    } catch (error) {
      this.#fail(toPublicError(this.#services, error));
    }
  }

  #ask(request: Request): void {
    if (!this.#helloAsked && request.method !== "hello") {
      return this.#refuse(
        request,
        new HearthError(
          "HELLO_REQUIRED",
          "Cannot answer: the first frame was not hello",
        ),
      );
    }
    this.#helloAsked = true;
    if (this.#requests.length >= maxWaiting) {
      return this.#fail(
        new HearthError("SLOW_CONSUMER", "Cannot take more requests: too many wait"),
      );
    }
    this.#requests.add(request);
  }

  #hear(method: string, params: unknown): void {
    if (!this.#helloAsked) {
      throw new HearthError("HELLO_REQUIRED", "Cannot go on: the first frame was not hello");
    }
    if (!isNotificationName(method)) {
      return this.#tellError("METHOD_UNKNOWN", "Cannot take a notification: none has this name");
    }
    try {
      parseNotice(method, params);
    } catch (error) {
      const { code, message } = toPublicError(this.#services, error);
      return this.#tellError(code, message);
    }
    // Ahead of everything that waits, so that a busy connection does not look dead.
    if (method === "ping") {
      this.#notify("pong", {});
      this.#queue.flush();
    }
  }

  async #handle(request: Request): Promise<void> {
    if (this.#closing) return;
    if (!this.#session && request.method !== "hello") {
      return this.#refuse(
        request,
        new HearthError(
          "HELLO_REQUIRED",
          "Cannot answer: no hello has gone well",
        ),
      );
    }
    const { frame, error } = await dispatch(this.#services, request, this);
    const effects = this.#effects;
    this.#effects = [];
    if (this.#gone) return;
    this.#queue.answer(frame);
    for (const effect of effects) effect();
    const closeCode = error && closeCodeOf(error.code);
    if (error && closeCode) this.#close(closeCode, error.code);
    else await this.#queue.drained();
  }

  #refuse(request: Request, error: HearthError): void {
    this.#queue.answer(encodeError(request.id, error));
    this.#close(closeCodeOf(error.code) ?? 1008, error.code);
  }

  #failWatch(cause: unknown): void {
    this.#services.log.error("watch failed", { session: this.#session?.id, ...errorFields(cause) });
    this.#fail(new HearthError("UNAVAILABLE", "Cannot go on with a watch: resume by cursor"));
  }

  #expire(): void {
    this.#fail(
      this.#session
        ? new HearthError("UNAUTHENTICATED", "Cannot go on: the token has expired")
        : new HearthError("HELLO_REQUIRED", "Cannot wait any longer for hello"),
    );
  }

  /** Ends the connection for a reason that belongs to no request. */
  #fail({ code, message }: HearthError): void {
    if (this.#closing) return;
    this.#tellError(code, message);
    const fields = { session: this.#session?.id, code };
    this.#services.log.info("connection ended by the server", fields);
    this.#close(closeCodeOf(code) ?? 1011, code);
  }

  #tellError(code: Code, message: string): void {
    this.#notify("error", { code, message });
  }

  #notify<N extends "closing" | "error" | "pong">(name: N, notice: Notice<N>): void {
    this.#queue.answer(encodeNotification(name, notice));
  }

  #ping(): void {
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.ping();
  }

  #close(code: number, reason: string): void {
    if (this.#closing) return;
    this.#closing = true;
    this.watches.closeAll();
    this.#requests.clear();
    this.#queue.flush();
    // `ws` ends the link itself when the peer does not answer the close within 30 s; a peer that
    // was not read any more must be, or its answer would never be seen.
    this.#socket.resume();
    this.#socket.close(code, reason);
  }

  #end(): void {
    this.#closing = true;
    this.#gone = true;
    this.watches.closeAll();
    this.#requests.clear();
    this.#queue.end();
    this.#onEnd();
  }
}
