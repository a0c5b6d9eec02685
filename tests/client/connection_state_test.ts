/** The connection's table, against the invariants that connection_state.ts numbers. */

import { test } from "node:test";
import { assert, assertEquals } from "#assert";
import {
  type ConnectionEvent,
  type ConnectionState,
  type Effect,
  step,
} from "../../src/client/connection_state.ts";
import { HearthError } from "../../src/protocol/errors.ts";
import { type Random, seededRandom, testSeed } from "../random.ts";

const error = new HearthError("CLOSED", "The link closed");
const kinds = ["start", "opened", "failed", "heard", "timer", "probe", "closing", "close"] as const;

test("every run of events keeps the invariants", () => {
  const seed = testSeed();
  const random = seededRandom(seed);
  for (let run = 0; run < 500; run++) {
    const model = new Model();
    const closesAt = random.below(60);
    for (let count = 0; count < 60; count++) {
      const kind = count === 0 ? "start" : count === closesAt ? "close" : pickKind(random);
      const { before, event, after, effects } = model.take(random, kind);
      model.check(before, event, after, effects, `seed ${seed}, run ${run}, event ${count}`);
    }
  }
});

/** The world that the effects act on. */
class Model {
  state: ConnectionState = { kind: "idle", since: 0 };
  at = 0;
  dials = 0;
  timer = false;
  pinged = 0;

  take(random: Random, kind: ConnectionEvent["kind"]) {
    this.at += random.below(8_000);
    const event = this.event(random, kind);
    const before = this.state;
    if (kind === "timer") this.timer = false;
    const { state: after, effects } = step(before, event);
    this.state = after;
    return { before, event, after, effects };
  }

  event(random: Random, kind: ConnectionEvent["kind"]): ConnectionEvent {
    const at = this.at;
    const chance = random.below(1000) / 1000;
    switch (kind) {
      case "opened":
        return random.below(2)
          ? { kind, at, via: "http", heartbeatMs: undefined }
          : { kind, at, via: "websocket", heartbeatMs: 10_000 };
      case "failed":
        return { kind, at, error, chance, atLeastMs: random.below(2) * 5_000 };
      case "timer":
        return { kind, at, chance, allowanceMs: random.below(2) * 3_000, lost: error };
      case "probe":
        return { kind, at, online: random.below(2) === 1 };
      case "closing":
        return { kind, at, resumeAfterMs: random.below(3_000) };
      default:
        return { kind, at };
    }
  }

  check(
    before: ConnectionState,
    event: ConnectionEvent,
    after: ConnectionState,
    effects: readonly Effect[],
    where: string,
  ): void {
    const did = (kind: Effect["kind"]) => effects.filter((effect) => effect.kind === kind).length;
    const text = `${before.kind} + ${event.kind} -> ${after.kind} (${where})`;
    for (const effect of effects) {
      if (effect.kind === "setTimer") this.timer = true;
      if (effect.kind === "clearTimer") this.timer = false;
    }
    // 1
    if (before.kind === "closed") assert(after === before && effects.length === 0, text);
    if (after.kind === "closed") assert(!this.timer, `a timer is left: ${text}`);
    // 2
    const entered = after.kind === "connecting" && before.kind !== "connecting";
    assertEquals(did("dial"), entered ? 1 : 0, text);
    // 3
    const beats = after.kind === "open" && after.heartbeatMs !== undefined;
    if (event.kind !== "timer" || before.kind === "open") {
      if (after.kind === "waiting" || beats) assert(this.timer, `no timer: ${text}`);
    }
    // 4
    const left = before.kind === "open" && (after.kind !== "open" || event.kind === "opened");
    assertEquals(did("hangUp"), left ? 1 : 0, text);
    const abandoned = before.kind === "connecting" && event.kind === "close";
    assertEquals(did("abandon"), abandoned ? 1 : 0, text);
    // 5
    if (before.kind === "open" && event.kind === "timer" && after.kind === "waiting") {
      assert(before.ping, `given up without a ping: ${text}`);
      assert(event.at - before.ping.sentAt >= 5_000 + event.allowanceMs, `too soon: ${text}`);
    }
    if (did("ping") > 0) assert(beats, `a ping without a socket: ${text}`);
  }
}

/** As they happen: timers and what is heard far more often than the end. */
function pickKind(random: Random): ConnectionEvent["kind"] {
  return random.pick([...kinds.filter((kind) => kind !== "close"), "timer", "timer", "heard"]);
}

test("the wait grows to a ceiling, and starts anew after a link that held", () => {
  const opened = { kind: "opened", at: 0, via: "http", heartbeatMs: undefined } as const;
  const failed = (at: number) => ({ kind: "failed", at, error, chance: 1, atLeastMs: 0 }) as const;
  const timer = { kind: "timer", at: 0, chance: 1, allowanceMs: 0, lost: error } as const;
  const waits: number[] = [];
  let { state } = step({ kind: "idle", since: 0 }, { kind: "start", at: 0 });
  const fail = (at: number) => {
    const next = step(state, failed(at));
    const effect = next.effects.find((effect) => effect.kind === "setTimer");
    waits.push(effect?.kind === "setTimer" ? effect.ms : -1);
    state = step(next.state, timer).state;
  };
  for (let count = 0; count < 9; count++) fail(0);
  assertEquals(waits, [250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]);
  // A link that falls at once is as good as none.
  state = step(state, opened).state;
  fail(100);
  assertEquals(waits.at(-1), 15_000);
  state = step(state, opened).state;
  fail(20_000);
  assertEquals(waits.at(-1), 250);
});

test("a timer that comes late asks again before the link is given up", () => {
  let { state } = step({ kind: "idle", since: 0 }, { kind: "start", at: 0 });
  const take = (event: ConnectionEvent) => {
    const next = step(state, event);
    state = next.state;
    return next.effects.map(({ kind }) => kind);
  };
  const timer = (at: number) =>
    ({ kind: "timer", at, chance: 0, allowanceMs: 0, lost: error }) as const;
  take({ kind: "opened", at: 0, via: "websocket", heartbeatMs: 10_000 });
  assertEquals(take(timer(10_000)), ["ping", "setTimer"]);
  // The machine slept for an hour with the ping under way.
  assertEquals(take(timer(3_600_000)), ["ping", "setTimer"]);
  assertEquals(state.kind, "open");
  assertEquals(take(timer(3_605_000)), ["hangUp", "setTimer"]);
  assertEquals(state.kind, "waiting");
});

test("a clock that is set neither kills a link nor keeps a dead one", () => {
  let { state } = step({ kind: "idle", since: 0 }, { kind: "start", at: 0 });
  const hour = 3_600_000;
  const take = (at: number) => {
    const next = step(state, { kind: "timer", at, chance: 0, allowanceMs: 0, lost: error });
    state = next.state;
    return next.effects.find((effect) => effect.kind === "setTimer")?.ms ?? 0;
  };
  state = step(state, { kind: "opened", at: hour, via: "websocket", heartbeatMs: 10_000 }).state;
  // Set back by an hour: the pauses stay as short as they were.
  let at = 10_000;
  for (let count = 0; count < 4 && state.kind === "open"; count++) {
    const ms = take(at);
    assert(ms <= 10_000, `a pause of ${ms} ms`);
    at += ms;
  }
  for (let count = 0; count < 4 && state.kind === "open"; count++) at += take(at);
  assertEquals(state.kind, "waiting");
});
