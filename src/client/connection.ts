/** Carries out the connection's table: dials, falls back and returns, beats, waits, starts again. */

import { sleep } from "../base/clock.ts";
import { orAbort } from "../base/or_abort.ts";
import { HearthError } from "../protocol/errors.ts";
import type { ClientStatus, ConnectOptions, Logger } from "./client.ts";
import {
  type ConnectionEvent,
  type ConnectionState,
  type Effect,
  step,
  type Via,
} from "./connection_state.ts";
import type { ClientDeps } from "./deps.ts";
import type { AnyNotice, Link } from "./link.ts";
import { openLink } from "./open_link.ts";
import type { TokenKeeper } from "./token.ts";
import { keepTokenFresh } from "./token_refresh.ts";

/** Options of {@linkcode Connection}. */
export interface ConnectionOptions {
  readonly transport: NonNullable<ConnectOptions["transport"]>;
  readonly tokens: TokenKeeper;
  readonly deps: ClientDeps;
  readonly logger: Logger | undefined;
  /** Takes what the server says of its own accord on the link in use. */
  readonly onNotice: (notice: AnyNotice) => void;
  /** Called with the link in use, and whether to doubt it, when either has changed. */
  readonly onLink: (link: Link | undefined, suspect: boolean) => void;
}

/** Which transports to try, in order. */
const dialOrder = {
  auto: ["websocket", "http"],
  websocket: ["websocket"],
  http: ["http"],
} as const satisfies Record<ConnectionOptions["transport"], readonly Via[]>;

/** How often a client on HTTP tries the socket again, give or take a quarter. */
const upgradeMs = 30_000;
/** How long to leave a server alone whose refusal only a person can change. */
const refusedMs = 60_000;

/** A connection that heals itself: at most one link in use at any time. */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #deps: ClientDeps;
  readonly #listeners = new Set<(status: ClientStatus) => void>();
  readonly #closed = new AbortController();
  #state: ConnectionState;
  #status: ClientStatus;
  #link: Link | undefined;
  /** Who waits for a link, in order; bounded by what calls.ts lets wait. */
  readonly #waiters = new Set<(link: Link) => void>();
  #dialing: AbortController | undefined;
  #cancelTimer: (() => void) | undefined;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#deps = options.deps;
    this.#state = { kind: "idle", since: options.deps.clock.now() };
    this.#status = toStatus(this.#state);
    options.deps.network?.addEventListener("online", this.#onNetwork);
    options.deps.network?.addEventListener("offline", this.#onNetwork);
  }

  /** Starts to dial. */
  start(): void {
    this.#dispatch({ kind: "start", at: this.#now() });
  }

  get status(): ClientStatus {
    return this.#status;
  }

  /** The link in use. */
  get link(): Link | undefined {
    return this.#link;
  }

  /** Aborted when the connection is closed, with a `CLOSED` error. */
  get signal(): AbortSignal {
    return this.#closed.signal;
  }

  onStatus(listener: (status: ClientStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The link in use, or the next one. @throws the signal's reason */
  async ready(signal: AbortSignal): Promise<Link> {
    if (this.#link) return this.#link;
    const { promise, resolve } = Promise.withResolvers<Link>();
    this.#waiters.add(resolve);
    return await orAbort(promise, signal).finally(() => this.#waiters.delete(resolve));
  }

  /** Tells that a call on this link found the token refused. */
  refuse(link: Link, error: HearthError): void {
    if (link === this.#link) this.#fail(error);
  }

  /** Ends everything. */
  close(): void {
    if (this.signal.aborted) return;
    this.#deps.network?.removeEventListener("online", this.#onNetwork);
    this.#deps.network?.removeEventListener("offline", this.#onNetwork);
    this.#closed.abort(new HearthError("CLOSED", "The client was closed"));
    this.#dispatch({ kind: "close", at: this.#now() });
    this.#listeners.clear();
  }

  readonly #onNetwork = ({ type }: Event): void => {
    this.#dispatch({ kind: "probe", at: this.#now(), online: type === "online" });
  };

  /** Whether there is reason to doubt the link in use. */
  get #suspect(): boolean {
    return this.#state.kind === "open" && this.#state.suspect;
  }

  #now(): number {
    return this.#deps.clock.now();
  }

  /** Takes an event; `opened` brings the link that it is about. */
  #dispatch(event: ConnectionEvent, opened?: Link): void {
    const before = this.#state;
    const linkBefore = this.#link;
    const suspectBefore = this.#suspect;
    const { state, effects } = step(before, event);
    this.#state = state;
    for (const effect of effects) this.#run(effect);
    if (opened) this.#use(opened);
    if (this.#link !== linkBefore || this.#suspect !== suspectBefore) {
      this.#options.onLink(this.#link, this.#suspect);
    }
    if (state.kind === before.kind && state.since === before.since) return;
    this.#status = toStatus(state);
    this.#log(before);
    for (const listener of [...this.#listeners]) listener(this.#status);
  }

  #run(effect: Effect): void {
    switch (effect.kind) {
      case "dial":
        void this.#dial();
        return;
      case "abandon":
        return this.#dialing?.abort(this.signal.reason);
      case "hangUp": {
        const link = this.#link;
        this.#link = undefined;
        return link?.end(new HearthError("CLOSED", "The client hung up"));
      }
      case "ping":
        return this.#link?.notify("ping");
      case "setTimer":
        this.#cancelTimer?.();
        this.#cancelTimer = this.#deps.clock.after(effect.ms, () => this.#onTimer());
        return;
      case "clearTimer":
        return this.#cancelTimer?.();
      default:
        effect satisfies never;
    }
  }

  #onTimer(): void {
    this.#dispatch({
      kind: "timer",
      at: this.#now(),
      allowanceMs: this.#link?.allowanceMs ?? 0,
      chance: this.#deps.random(),
      lost: new HearthError("TIMEOUT", "Lost the link: the server does not answer"),
    });
  }

  #fail(error: HearthError): void {
    const { tokens } = this.#options;
    const refused = error.retry === "never" || (error.retry === "reauth" && !tokens.renewable);
    if (error.retry === "reauth") tokens.drop();
    this.#dispatch({
      kind: "failed",
      at: this.#now(),
      error,
      chance: this.#deps.random(),
      atLeastMs: Math.max(error.details?.retryAfterMs ?? 0, refused ? refusedMs : 0),
    });
  }

  async #dial(): Promise<void> {
    const dialing = this.#dialing = new AbortController();
    try {
      const link = await this.#openAny(dialing.signal);
      // It may have ended in the moment between its opening and here.
      link.signal.throwIfAborted();
      if (dialing.signal.aborted) link.end(dialing.signal.reason);
      else this.#opened(link);
    } catch (error) {
      if (!dialing.signal.aborted) this.#fail(toHearthError(error));
    }
  }

  async #openAny(signal: AbortSignal): Promise<Link> {
    const order = dialOrder[this.#options.transport];
    let failure: unknown;
    for (const via of order) {
      try {
        return await this.#open(via, signal);
      } catch (error) {
        signal.throwIfAborted();
        failure = error;
        // A server that answered, if only to refuse, would answer the same on the other way.
        if (error instanceof HearthError && !unreachable.has(error.code)) throw error;
        this.#options.logger?.debug(`No link by ${via}: ${toHearthError(error).message}`);
      }
    }
    throw failure;
  }

  async #open(via: Via, signal: AbortSignal): Promise<Link> {
    const { tokens } = this.#options;
    return await openLink({
      dialer: this.#deps[via],
      via,
      token: await tokens.get(signal),
      currentToken: () => tokens.current,
      clock: this.#deps.clock,
      signal,
      events: {
        onHeard: (link) => {
          if (link === this.#link) this.#dispatch({ kind: "heard", at: this.#now() });
        },
        onNotice: (link, notice) => this.#onNotice(link, notice),
        onEnd: (link, error) => {
          if (link === this.#link) this.#fail(error);
        },
      },
    });
  }

  #onNotice(link: Link, notice: AnyNotice): void {
    if (link !== this.#link) return;
    if (notice.name === "closing") {
      const { resumeAfterMs } = notice.body;
      this.#dispatch({ kind: "closing", at: this.#now(), resumeAfterMs });
    }
    this.#options.onNotice(notice);
  }

  #opened(link: Link): void {
    this.#dispatch({
      kind: "opened",
      at: this.#now(),
      via: link.via,
      heartbeatMs: link.pushes ? link.session.heartbeatMs : undefined,
    }, link);
  }

  #use(link: Link): void {
    if (this.#state.kind !== "open") {
      return link.end(new HearthError("CLOSED", "The link came when it was not wanted any more"));
    }
    const { tokens, logger, transport } = this.#options;
    this.#link = link;
    for (const resolve of this.#waiters) resolve(link);
    tokens.learnExpiry(link.session.expiresAt);
    if (tokens.renewable) void keepTokenFresh(link, tokens, this.#deps, logger);
    if (transport === "auto" && link.via === "http") void this.#upgrade(link);
  }

  /** Tries the socket from time to time while HTTP serves. */
  async #upgrade(link: Link): Promise<void> {
    while (!link.signal.aborted) {
      try {
        await sleep(this.#deps.clock, upgradeMs * (0.75 + this.#deps.random() / 2), link.signal);
        const better = await this.#open("websocket", link.signal);
        if (link.signal.aborted) return better.end(link.signal.reason);
        better.signal.throwIfAborted();
        return this.#opened(better);
      } catch (error) {
        if (link.signal.aborted) return;
        this.#options.logger?.debug(`Still on HTTP: ${toHearthError(error).message}`);
      }
    }
  }

  #log(before: ConnectionState): void {
    const status = this.#status;
    const { logger } = this.#options;
    if (status.state === "open") logger?.info(`Connected by ${status.via}`);
    if (status.state === "denied") logger?.error(`Refused: ${status.error.message}`);
    if (status.state === "waiting" && before.kind === "open") logger?.warn(status.error.message);
  }
}

/** Errors that say nothing of the server but that this way does not lead to it. */
const unreachable: ReadonlySet<string> = new Set(["CLOSED", "TIMEOUT", "BAD_FRAME"]);

function toHearthError(error: unknown): HearthError {
  if (error instanceof HearthError) return error;
  return new HearthError("CLOSED", "Cannot open a link: the attempt failed", { cause: error });
}

function toStatus(state: ConnectionState): ClientStatus {
  const { since } = state;
  switch (state.kind) {
    case "idle":
      return { state: "connecting", since };
    case "connecting":
      return { state: "connecting", since, ...(state.error ? { error: state.error } : {}) };
    case "open":
      return { state: "open", since, via: state.via };
    case "waiting": {
      const { error } = state;
      return { state: error.retry === "reauth" ? "denied" : "waiting", since, error };
    }
    case "closed":
      return { state: "closed", since };
  }
}
