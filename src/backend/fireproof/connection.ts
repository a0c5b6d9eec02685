/** One WebSocket of the stock client: JSON in, JSON out, and every reason for which it ends. */

import type { Buffer } from "node:buffer";
import type { WebSocket } from "ws";
import { closeCodeOf, HearthError } from "../../protocol/errors.ts";
import { helloTimeoutMs } from "../../protocol/limits.ts";
import { type Connection, roundMs } from "../connections.ts";
import { Heartbeat } from "../heartbeat.ts";
import { errorFields } from "../log.ts";
import { RequestQueue } from "../request_queue.ts";
import { SendQueue } from "../send_queue.ts";
import type { Session } from "../session.ts";
import { Binds } from "./binds.ts";
import type { BindRequest, ConnectionId, FireproofServices, SocketDesk } from "./call.ts";
import { dispatch } from "./dispatch.ts";
import { toErrorMessage } from "./errors.ts";

/** Most messages that may wait, when a peer's reading cannot be held up. */
const maxWaiting = 4096;
/** Most connections that may be named on one socket: the client names one for a process. */
const maxIds = 1000;
/** How long after `/close-connection` the socket ends, and how. */
const closeSoonMs = 50;
const closeSoonCode = 4711;

/** How a client reaches the server. */
export interface Address {
  readonly baseUrl: string;
  readonly query: URLSearchParams;
}

/** Serves one socket, from its opening to its end. */
export class FireproofConnection implements Connection, SocketDesk {
  readonly #services: FireproofServices;
  readonly #socket: WebSocket;
  readonly #address: Address;
  readonly #queue: SendQueue;
  readonly #requests: RequestQueue<{ readonly source: unknown }>;
  readonly #binds: Binds;
  readonly #heartbeat: Heartbeat;
  readonly #onEnd: () => void;
  readonly #ids = new Map<string, { readonly id: ConnectionId; readonly subject: string }>();
  /** The end of the time for a first good token; nothing from then on. Epoch ms. */
  #startsBy: number | undefined;
  #effects: (() => void)[] = [];
  #closing = false;
  #cancelClose = (): void => {};

  /** @param onEnd called once, when the socket is gone */
  constructor(services: FireproofServices, socket: WebSocket, address: Address, onEnd: () => void) {
    this.#services = services;
    this.#socket = socket;
    this.#address = address;
    this.#onEnd = onEnd;
    this.#startsBy = services.clock.now() + helloTimeoutMs;
    this.#queue = new SendQueue(socket, {
      clock: services.clock,
      turn: services.flushTurn,
      separate: true,
      onFull: () =>
        this.#fail(new HearthError("SLOW_CONSUMER", "Cannot push: the connection does not read")),
    });
    this.#binds = new Binds({
      services,
      queue: this.#queue,
      afterReply: (effect) => void this.#effects.push(effect),
      onError: (error) => {
        services.log.error("bind failed", errorFields(error));
        this.#fail(new HearthError("UNAVAILABLE", "Cannot go on with a bind: bind again"));
      },
    });
    this.#requests = new RequestQueue({
      handle: (request) => this.#handle(request.source),
      onCrowded: (crowded) => crowded ? socket.pause() : socket.resume(),
    });
    this.#heartbeat = new Heartbeat(services.heartbeatMs);
    this.#listen();
  }

  idsOf(subject: string): readonly ConnectionId[] {
    return [...this.#ids.values()].filter((it) => it.subject === subject).map(({ id }) => id);
  }

  tell(message: object): void {
    if (!this.#closing) this.#push(message);
  }

  openId(id: ConnectionId, { subject }: Session): void {
    const name = nameOf(id);
    if (this.#ids.size >= maxIds && !this.#ids.has(name)) {
      throw new HearthError("RATE_LIMITED", `Cannot open: the socket has ${maxIds} connections`, {
        details: { retryAfterMs: 1000 },
      });
    }
    this.#ids.set(name, { id, subject });
  }

  closeId(id: ConnectionId): void {
    this.#ids.delete(nameOf(id));
    this.#binds.close(id);
  }

  closeSoon(): void {
    this.#cancelClose();
    this.#cancelClose = this.#services.clock.after(
      closeSoonMs,
      () => this.#close(closeSoonCode, "closed as asked"),
    );
  }

  bind(request: BindRequest): Promise<readonly string[]> {
    return this.#binds.open(request);
  }

  look(): void {
    if (this.#closing) return;
    const now = this.#services.clock.now();
    if (this.#startsBy !== undefined && now >= this.#startsBy) {
      return this.#fail(new HearthError("HELLO_REQUIRED", "Cannot wait any longer for a token"));
    }
    // The client comes back with its next request, and binds all again.
    if (this.#binds.hasExpired(now)) {
      return this.#fail(new HearthError("UNAUTHENTICATED", "Cannot go on: a token has expired"));
    }
    switch (this.#heartbeat.pass(roundMs, this.#queue.bytes)) {
      case "ask":
        if (this.#socket.readyState === this.#socket.OPEN) this.#socket.ping();
        return;
      case "give up":
        return this.#socket.terminate();
    }
  }

  /** Ends the socket kindly: what was asked is answered. The client knows no better than to come back. */
  async stop(_resumeAfterMs: number): Promise<void> {
    if (this.#closing) return;
    this.#socket.pause();
    await this.#requests.settled();
    this.#close(closeCodeOf("UNAVAILABLE") ?? 1001, "going away");
  }

  /** Ends the socket at once. */
  terminate(): void {
    this.#socket.terminate();
  }

  #listen(): void {
    const socket = this.#socket;
    const seen = () => this.#heartbeat.seen();
    socket.on("ping", seen);
    socket.on("pong", seen);
    socket.on("message", (data) => {
      seen();
      // `ws` gives one Buffer a message, text or binary, as long as its `binaryType` is left alone.
      if (!this.#closing) this.#receive(data as Buffer);
    });
    // Broken links and illegal frames; `close` follows.
    socket.on("error", (error) => this.#services.log.debug("socket error", errorFields(error)));
    socket.on("close", () => this.#end());
  }

  #receive(data: Buffer): void {
    if (data.length > this.#services.limits.messageBytes) {
      const message = `Cannot read message: it has ${data.length} bytes`;
      return this.#fail(new HearthError("TOO_LARGE", message));
    }
    if (this.#requests.length >= maxWaiting) {
      const message = "Cannot take more messages: too many wait";
      return this.#fail(new HearthError("SLOW_CONSUMER", message));
    }
    const source = parseJson(data);
    if (source === undefined) {
      this.#push(toErrorMessage(undefined, { message: "Cannot read message: it is no JSON" }));
      return;
    }
    this.#requests.add({ source });
  }

  async #handle(source: unknown): Promise<void> {
    if (this.#closing) return;
    const { texts, session } = await dispatch(this.#services, source, {
      ...this.#address,
      socket: this,
    });
    const effects = this.#effects;
    this.#effects = [];
    if (session) {
      this.#startsBy = undefined;
      this.#binds.renew(session);
    }
    for (const text of texts) this.#queue.answer(encoder.encode(text));
    for (const effect of effects) effect();
    await this.#queue.drained();
  }

  #push(message: object): void {
    this.#queue.push(encoder.encode(JSON.stringify(message)));
  }

  /** Ends the socket for a reason that belongs to no message. */
  #fail({ code, message }: HearthError): void {
    if (this.#closing) return;
    this.#queue.answer(encoder.encode(JSON.stringify(toErrorMessage(undefined, { message }))));
    this.#services.log.info("connection ended by the server", { via: "fireproof", code });
    this.#close(closeCodeOf(code) ?? 1011, code);
  }

  #close(code: number, reason: string): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#letGo();
    this.#queue.flush();
    // As with the other sockets: a peer that was not read any more must be, to see its answer.
    this.#socket.resume();
    this.#socket.close(code, reason);
  }

  #end(): void {
    this.#closing = true;
    this.#letGo();
    this.#queue.end();
    this.#onEnd();
  }

  #letGo(): void {
    this.#cancelClose();
    this.#binds.closeAll();
    this.#ids.clear();
    this.#requests.clear();
  }
}

const encoder = new TextEncoder();

function nameOf({ reqId, resId }: ConnectionId): string {
  return JSON.stringify([reqId, resId]);
}

/** Nothing when it is no JSON. */
function parseJson(data: Buffer): unknown {
  try {
    return JSON.parse(data.toString());
  } catch {
    return undefined;
  }
}
