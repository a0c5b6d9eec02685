/**
 * The connection as a table: what each event does in each state. Nothing here waits, dials or looks
 * at a clock; connection.ts carries out the effects.
 *
 * Invariants, held by tests/client/connection_state_test.ts:
 * 1. `closed` is final and leaves nothing behind.
 * 2. At most one dial is under way, and only in `connecting`.
 * 3. `waiting`, and `open` on a socket, have a timer.
 * 4. Leaving `open` hangs up; leaving `connecting` from outside abandons the dial.
 * 5. A link is given up for silence only after a ping that had its time, counted while awake.
 */

import { backoffMs } from "../base/backoff.ts";
import type { HearthError } from "../protocol/errors.ts";
import { heartbeatGraceMs } from "../protocol/limits.ts";

/** Which transport a link uses. */
export type Via = "websocket" | "http";

/** Where the connection stands. */
export type ConnectionState =
  | { readonly kind: "idle"; readonly since: number }
  | ConnectingState
  | OpenState
  | WaitingState
  | { readonly kind: "closed"; readonly since: number };

interface ConnectingState {
  readonly kind: "connecting";
  readonly since: number;
  /** Attempts in a row that came to nothing. */
  readonly attempt: number;
  /** Why the last one did. */
  readonly error: HearthError | undefined;
}

interface OpenState {
  readonly kind: "open";
  readonly since: number;
  readonly attempt: number;
  readonly via: Via;
  /** Pause between heartbeats; none over HTTP, where each poll is one. */
  readonly heartbeatMs: number | undefined;
  /** When anything was last received. */
  readonly heardAt: number;
  /** The ping that nothing has been received after. */
  readonly ping: Ping | undefined;
  /** When the timer is due. */
  readonly timerAt: number;
  /** Whether there is reason to doubt the link. */
  readonly suspect: boolean;
  /** From the server's `closing` notice. */
  readonly resumeAfterMs: number;
}

interface Ping {
  readonly sentAt: number;
  /** Sent once more because the timer came late: it was the machine that slept, maybe not the peer. */
  readonly again: boolean;
}

interface WaitingState {
  readonly kind: "waiting";
  readonly since: number;
  readonly attempt: number;
  readonly error: HearthError;
}

/** What happens to a connection; `at` is epoch ms, `chance` a number in [0, 1). */
export type ConnectionEvent =
  | { readonly kind: "start"; readonly at: number }
  /** A dial came through; in `open`: a better transport is at hand. */
  | {
    readonly kind: "opened";
    readonly at: number;
    readonly via: Via;
    readonly heartbeatMs: number | undefined;
  }
  /** A dial came to nothing, or the link was lost; not before `atLeastMs` again. */
  | {
    readonly kind: "failed";
    readonly at: number;
    readonly error: HearthError;
    readonly chance: number;
    readonly atLeastMs: number;
  }
  | { readonly kind: "heard"; readonly at: number }
  /** The timer; `allowanceMs` is what large messages under way may take on a slow line. */
  | {
    readonly kind: "timer";
    readonly at: number;
    readonly allowanceMs: number;
    readonly chance: number;
    readonly lost: HearthError;
  }
  /** The network came back or went: find out now. */
  | { readonly kind: "probe"; readonly at: number; readonly online: boolean }
  | { readonly kind: "closing"; readonly at: number; readonly resumeAfterMs: number }
  | { readonly kind: "close"; readonly at: number };

/** What is to be done. */
export type Effect =
  | { readonly kind: "dial" }
  | { readonly kind: "abandon" }
  | { readonly kind: "hangUp" }
  | { readonly kind: "ping" }
  /** Replaces the timer. */
  | { readonly kind: "setTimer"; readonly ms: number }
  | { readonly kind: "clearTimer" };

/** The state after an event, and what is to be done. */
export interface Step {
  readonly state: ConnectionState;
  readonly effects: readonly Effect[];
}

/** A link that held this long was a good one: the next loss starts the backoff anew. */
const heldMs = 10_000;

/** Takes one event. */
export function step(state: ConnectionState, event: ConnectionEvent): Step {
  // The compiler cannot see that the entry at [state.kind, event.kind] takes just these two.
  const entry = table[state.kind][event.kind] as Entry<ConnectionState, ConnectionEvent>;
  return entry(state, event);
}

type Entry<S, E> = (state: S, event: E) => Step;
type Of<U extends { readonly kind: string }, K extends U["kind"]> = Extract<
  U,
  { readonly kind: K }
>;
type Table = {
  readonly [S in ConnectionState["kind"]]: {
    readonly [E in ConnectionEvent["kind"]]: Entry<Of<ConnectionState, S>, Of<ConnectionEvent, E>>;
  };
};

const stay: Entry<ConnectionState, unknown> = (state) => ({ state, effects: [] });

const table: Table = {
  idle: {
    start: (_, { at }) => dial(at, 0, undefined),
    opened: stay,
    failed: stay,
    heard: stay,
    timer: stay,
    probe: stay,
    closing: stay,
    close: (_, { at }) => close(at, []),
  },
  connecting: {
    start: stay,
    opened: (state, event) => open(state.attempt, event, []),
    failed: (state, event) => wait(state.attempt, event, []),
    heard: stay,
    timer: stay,
    // The dial under way is the probe.
    probe: stay,
    closing: stay,
    close: (_, { at }) => close(at, [{ kind: "abandon" }]),
  },
  open: {
    start: stay,
    opened: (state, event) => open(state.attempt, event, [{ kind: "hangUp" }]),
    failed: (state, event) => lose(state, event),
    heard: (state, { at }) => ({
      state: { ...state, heardAt: at, ping: undefined, suspect: false },
      effects: [],
    }),
    timer: beat,
    probe: (state, { at }) => {
      if (state.heartbeatMs === undefined) return stay(state, undefined);
      return state.ping
        ? { state: { ...state, suspect: true }, effects: [] }
        : ping(state, at, false, true);
    },
    closing: (state, { resumeAfterMs }) => ({ state: { ...state, resumeAfterMs }, effects: [] }),
    close: (_, { at }) => close(at, [{ kind: "hangUp" }, { kind: "clearTimer" }]),
  },
  waiting: {
    start: stay,
    opened: stay,
    failed: stay,
    heard: stay,
    timer: (state, { at }) => dial(at, state.attempt, state.error),
    probe: (state, { at, online }) => {
      if (!online) return stay(state, undefined);
      const next = dial(at, state.attempt, state.error);
      return { ...next, effects: [{ kind: "clearTimer" }, ...next.effects] };
    },
    closing: stay,
    close: (_, { at }) => close(at, [{ kind: "clearTimer" }]),
  },
  closed: {
    start: stay,
    opened: stay,
    failed: stay,
    heard: stay,
    timer: stay,
    probe: stay,
    closing: stay,
    close: stay,
  },
};

function dial(at: number, attempt: number, error: HearthError | undefined): Step {
  return {
    state: { kind: "connecting", since: at, attempt, error },
    effects: [{ kind: "dial" }],
  };
}

function open(
  attempt: number,
  { at, via, heartbeatMs }: Of<ConnectionEvent, "opened">,
  before: readonly Effect[],
): Step {
  const state: OpenState = {
    kind: "open",
    since: at,
    attempt,
    via,
    heartbeatMs,
    heardAt: at,
    ping: undefined,
    timerAt: at + (heartbeatMs ?? 0),
    suspect: false,
    resumeAfterMs: 0,
  };
  const timer: Effect = heartbeatMs === undefined
    ? { kind: "clearTimer" }
    : { kind: "setTimer", ms: heartbeatMs };
  return { state, effects: [...before, timer] };
}

/** The heartbeat of a socket. */
function beat(state: OpenState, event: Of<ConnectionEvent, "timer">): Step {
  const { at, allowanceMs } = event;
  const { heartbeatMs, heardAt, ping: sent, timerAt } = state;
  if (heartbeatMs === undefined) return stay(state, event);
  if (!sent) {
    const quietMs = at - heardAt;
    // The clock was set back: the pause counts from here.
    if (quietMs < 0) return arm({ ...state, heardAt: at }, at, heartbeatMs);
    return quietMs < heartbeatMs
      ? arm(state, at, heartbeatMs - quietMs)
      : ping(state, at, false, false);
  }
  // A timer far off its time tells of a machine that slept, or of a clock that was set: the answer
  // may be just behind it.
  if (!sent.again && Math.abs(at - timerAt) > heartbeatGraceMs) return ping(state, at, true, true);
  const leftMs = sent.sentAt + heartbeatGraceMs + allowanceMs - at;
  if (leftMs <= 0) return lose(state, { ...event, error: event.lost, atLeastMs: 0 });
  return arm({ ...state, suspect: true }, at, Math.min(leftMs, heartbeatGraceMs));
}

function ping(state: OpenState, at: number, again: boolean, suspect: boolean): Step {
  const { state: armed, effects } = arm(
    { ...state, ping: { sentAt: at, again }, suspect },
    at,
    heartbeatGraceMs,
  );
  return { state: armed, effects: [{ kind: "ping" }, ...effects] };
}

function arm(state: OpenState, at: number, ms: number): Step {
  return { state: { ...state, timerAt: at + ms }, effects: [{ kind: "setTimer", ms }] };
}

type Failure = Pick<Of<ConnectionEvent, "failed">, "at" | "error" | "chance" | "atLeastMs">;

function lose(state: OpenState, failure: Failure): Step {
  const { at, error, chance, atLeastMs } = failure;
  const attempt = at - state.since >= heldMs ? 0 : state.attempt;
  return wait(
    attempt,
    { at, error, chance, atLeastMs: Math.max(atLeastMs, state.resumeAfterMs) },
    [{ kind: "hangUp" }],
  );
}

function wait(attempt: number, failure: Failure, before: readonly Effect[]): Step {
  const { at, error, chance, atLeastMs } = failure;
  return {
    // The count is bounded: behind the ceiling it makes no difference.
    state: { kind: "waiting", since: at, attempt: Math.min(attempt + 1, 16), error },
    effects: [...before, { kind: "setTimer", ms: backoffMs(attempt, chance, { atLeastMs }) }],
  };
}

function close(at: number, effects: readonly Effect[]): Step {
  return { state: { kind: "closed", since: at }, effects };
}
