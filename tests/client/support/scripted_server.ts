/** A server in memory whose every answer the test decides, and a client in a world of its own. */

import type { Clock } from "../../../src/base/clock.ts";
import { createClient } from "../../../src/client/connect.ts";
import type { Client, ConnectOptions } from "../../../src/client/mod.ts";
import { HearthError } from "../../../src/protocol/errors.ts";
import {
  decodeFrames,
  encodeError,
  encodeNotification,
  encodeResult,
  joinFrames,
} from "../../../src/protocol/frames.ts";
import { defaultLimits } from "../../../src/protocol/limits.ts";
import type { HelloResult, MethodTable } from "../../../src/protocol/method_table.ts";
import type { Notice, NotificationName } from "../../../src/protocol/methods.ts";
import type { Deep } from "../../../src/protocol/model.ts";
import { createMemoryDialer } from "../../../src/transport/memory.ts";
import type { Dialer, Transport } from "../../../src/transport/transport.ts";
import { createFakeClock, type FakeClock } from "../../harness/fake_clock.ts";

type Method = keyof MethodTable;
type Answer<M extends Method> = MethodTable[M]["result"] | HearthError | typeof silence;

/** Answers a call; what it throws fails the test that waits. */
export type Script = {
  [M in Method]?: (
    params: MethodTable[M]["params"],
    link: ScriptedLink,
  ) => Answer<M> | Promise<Answer<M>>;
};

/** The answer that never comes. */
export const silence = Symbol("silence");

/** One call that arrived. */
export interface ArrivedCall {
  readonly method: string;
  readonly params: unknown;
  readonly link: ScriptedLink;
}

/** The server's end of one link. */
export class ScriptedLink {
  readonly via: "websocket" | "http";
  /** Names of the frames of each message that arrived, hello and heartbeat left out. */
  readonly messages: string[][] = [];
  pings = 0;
  pongs = 0;
  /** Whether the client ended it. */
  closed = false;
  /** Whether nothing comes through any more, either way. */
  hole = false;
  readonly transport: Transport;

  constructor(via: ScriptedLink["via"], transport: Transport) {
    this.via = via;
    this.transport = transport;
  }

  notify<N extends NotificationName>(name: N, body: Deep<Notice<N>>): void {
    if (!this.hole) this.transport.send(encodeNotification(name, body));
  }
}

/** Says `online` and `offline`, and knows who listens. */
class Network extends EventTarget {
  listeners = 0;

  override addEventListener(...args: Parameters<EventTarget["addEventListener"]>): void {
    this.listeners++;
    super.addEventListener(...args);
  }

  override removeEventListener(...args: Parameters<EventTarget["removeEventListener"]>): void {
    this.listeners--;
    super.removeEventListener(...args);
  }
}

/** The world of one client. */
export class Scene {
  readonly #clock: FakeClock = createFakeClock(1_700_000_000_000);
  /** Timers that wait. */
  timers = 0;
  readonly clock: Clock = {
    now: () => this.#clock.now(),
    after: (ms, run) => {
      this.timers++;
      let waits = true;
      const done = () => {
        if (waits) this.timers--;
        waits = false;
      };
      const cancel = this.#clock.after(ms, () => {
        done();
        run();
      });
      return () => {
        done();
        cancel();
      };
    },
  };
  readonly script: Script;
  readonly links: ScriptedLink[] = [];
  readonly calls: ArrivedCall[] = [];
  /** Transports that cannot be had now. */
  readonly blocked = new Set<"websocket" | "http">();
  readonly network = new Network();
  session: HelloResult = {
    version: 1,
    session: "s",
    server: "scripted",
    epoch: "epoch1234",
    heartbeatMs: 10_000,
    expiresAt: this.clock.now() + 10 * 365 * 24 * 3_600_000,
    limits: defaultLimits,
  };
  fetch: typeof globalThis.fetch = () => Promise.reject(new TypeError("no network in this scene"));

  constructor(script: Script = {}) {
    this.script = script;
  }

  /** Makes a client; backoffs take half of their time. */
  connect(options: Partial<ConnectOptions> = {}): Client {
    return createClient({ url: "http://hearth.test", token: "t", ...options }, {
      clock: this.clock,
      random: () => 0.5,
      fetch: (input, init) => this.fetch(input, init),
      websocket: this.#dialer("websocket"),
      http: this.#dialer("http"),
      network: this.network,
    });
  }

  /** The link opened last. */
  get link(): ScriptedLink {
    const link = this.links.at(-1);
    if (!link) throw new Error("No link has been opened yet");
    return link;
  }

  /** Parameters of all calls of a method that arrived. */
  paramsOf<M extends Method>(method: M): MethodTable[M]["params"][] {
    // What arrived under this name was sent by the client under test with its own types.
    return this.calls.filter((call) => call.method === method)
      .map(({ params }) => params as MethodTable[M]["params"]);
  }

  /** Lets everything happen that needs no time to pass. */
  async settle(): Promise<void> {
    for (let round = 0; round < 4; round++) {
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
  }

  /** Moves time on in steps, and lets happen what follows from each. */
  async pass(ms: number, stepMs = 1000): Promise<void> {
    await this.settle();
    for (let left = ms; left > 0; left -= stepMs) {
      this.#clock.advance(Math.min(left, stepMs));
      await this.settle();
    }
  }

  #dialer(via: ScriptedLink["via"]): Dialer {
    return createMemoryDialer((transport) => {
      if (this.blocked.has(via)) throw new HearthError("CLOSED", `No ${via} in this scene`);
      const link = new ScriptedLink(via, transport);
      this.links.push(link);
      return {
        onMessage: (message) => void this.#take(link, message),
        onClose: () => void (link.closed = true),
      };
    }, { pushes: via === "websocket" });
  }

  async #take(link: ScriptedLink, message: Uint8Array): Promise<void> {
    const frames = decodeFrames(message);
    const names = frames.map((frame) => "method" in frame ? frame.method : frame.kind);
    const quiet = ["hello", "ping", "pong"];
    if (!names.some((name) => quiet.includes(name))) link.messages.push(names);
    const replies: Uint8Array[] = [];
    for (const frame of frames) {
      if (frame.kind === "notification") {
        if (frame.method === "pong") link.pongs++;
        if (frame.method !== "ping") continue;
        link.pings++;
        link.notify("pong", {});
      } else if (frame.kind === "request") {
        const { id, method, params } = frame;
        this.calls.push({ method, params, link });
        const answer = await this.#answer(method, params, link);
        if (answer === silence) continue;
        replies.push(
          answer instanceof HearthError ? encodeError(id, answer) : encodeResult(id, answer),
        );
      }
    }
    if (replies.length > 0 && !link.hole) link.transport.send(joinFrames(replies));
  }

  #answer(method: string, params: unknown, link: ScriptedLink): unknown {
    // The client under test sent the parameters with the script's own types.
    const script = this.script as Record<string, (params: unknown, link: ScriptedLink) => unknown>;
    const entry = script[method];
    if (entry) return entry(params, link);
    if (method === "hello") return this.session;
    return method === "missing" ? { blobs: [] } : {};
  }
}
