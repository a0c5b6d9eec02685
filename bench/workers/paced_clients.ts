/** Clients that write through one server at a given rate, and hear of it through another one. */

import type { Buffer } from "node:buffer";
import { pause, systemClock } from "../../src/base/clock.ts";
import { encodeCall, openSocket, type RawClient } from "../harness/raw_client.ts";
import { createCommits, eachContent, smallPut } from "../harness/samples.ts";
import { serveCalls } from "../harness/worker.ts";

/** Two servers and the ledgers of both. */
export interface Scene {
  readonly writeUrl: string;
  readonly watchUrl: string;
  /** Each is watched once. */
  readonly places: readonly { readonly ledger: string; readonly token: string }[];
  /** Writers of each ledger. */
  readonly writersEach: number;
}

/** A stretch of work. */
export interface Stretch {
  /** Commits per second; without it, each writer's next follows when the last is acknowledged. */
  readonly rate?: number;
  readonly ms: number;
}

/** What came of it. */
export interface Outcome {
  /** Milliseconds from the call of each commit to the callback of who watches. */
  readonly times: readonly number[];
  /** Commits per second, until the last one was heard of. */
  readonly rate: number;
}

interface Writer {
  readonly client: RawClient;
  readonly next: () => Uint8Array;
  /** Encoded before the clock runs, so that the client is not what is measured. */
  ready: Uint8Array[];
  /** When those commits were called that nobody has heard of yet, oldest first. */
  readonly unheard: number[];
  /** Settles when all that was called is acknowledged: one is under way at a time. */
  acknowledged: Promise<unknown>;
}

/** Writers of one scene, those of one ledger far from each other. */
class Paced {
  readonly #writers: readonly Writer[];
  #turn = 0;
  #unheard = 0;
  #times: number[] = [];
  #onHeard = () => {};

  constructor(writers: readonly Writer[]) {
    this.#writers = writers;
  }

  /** A watcher was told of a commit. */
  hear(writer: number): void {
    const calledAt = this.#writers[writer]?.unheard.shift();
    if (calledAt === undefined) throw new Error("Cannot go on: a commit was heard of twice");
    this.#times.push(performance.now() - calledAt);
    if (--this.#unheard === 0) this.#onHeard();
  }

  async run({ rate, ms }: Stretch): Promise<Outcome> {
    this.#times = [];
    this.#prepare((rate ?? expectedRate) * ms / 1000);
    const start = performance.now();
    if (rate === undefined) await this.#saturate(start + ms);
    else await this.#pace(rate, ms);
    await Promise.all(this.#writers.map(({ acknowledged }) => acknowledged));
    if (this.#unheard > 0) await new Promise<void>((resolve) => (this.#onHeard = resolve));
    const seconds = (performance.now() - start) / 1000;
    return { times: this.#times, rate: this.#times.length / seconds };
  }

  #prepare(count: number): void {
    const each = Math.ceil(count / this.#writers.length);
    for (const writer of this.#writers) {
      const { next, ready } = writer;
      writer.ready = [...ready, ...Array.from({ length: each - ready.length }, next)];
    }
  }

  /** The clock decides when the next is called, however long the last ones take. */
  async #pace(rate: number, ms: number): Promise<void> {
    const count = Math.round(rate * ms / 1000);
    const start = performance.now();
    for (let called = 0; called < count; await pause(systemClock, tickMs)) {
      const due = Math.floor((performance.now() - start) * rate / 1000) + 1;
      for (; called < Math.min(due, count); called++) {
        const writer = this.#writers[this.#turn++ % this.#writers.length];
        if (writer) this.#commit(writer);
      }
    }
  }

  async #saturate(end: number): Promise<void> {
    await Promise.all(this.#writers.map(async (writer) => {
      while (performance.now() < end) await this.#commit(writer);
    }));
  }

  #commit(writer: Writer): Promise<unknown> {
    const frame = writer.ready.shift() ?? writer.next();
    this.#unheard++;
    writer.unheard.push(performance.now());
    return writer.acknowledged = writer.acknowledged.then(() => writer.client.exchange(frame));
  }
}

/** Commits per second, of all clients together, for which frames are made beforehand. */
const expectedRate = 12_000;
/** Pause between two looks at what is due. */
const tickMs = 1;

let paced = new Paced([]);

const calls = {
  open: async ({ writeUrl, watchUrl, places, writersEach }: Scene): Promise<void> => {
    const writers: Writer[] = [];
    for (let each = 0; each < writersEach; each++) {
      for (const place of places) writers.push(await openWriter(writeUrl, place, writers.length));
    }
    paced = new Paced(writers);
    for (const { ledger, token } of places) {
      const onPush = (message: Buffer) => eachContent(message, (writer) => paced.hear(writer));
      const watcher = await openSocket({ url: watchUrl, token, onPush });
      await watcher.exchange(encodeCall("watch", { ledger }));
    }
  },
  run: (stretch: Stretch): Promise<Outcome> => paced.run(stretch),
};

async function openWriter(
  url: string,
  { ledger, token }: Scene["places"][number],
  writer: number,
): Promise<Writer> {
  const client = await openSocket({ url, token });
  const next = createCommits(ledger, smallPut, writer);
  return {
    client,
    next: () => encodeCall("commit", next()),
    ready: [],
    unheard: [],
    acknowledged: Promise.resolve(),
  };
}

export type PacedClients = typeof calls;
await serveCalls(calls);
