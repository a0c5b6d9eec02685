/** One connection for work in order: what follows at once, what waits, and what a lost connection does. */

import { describe, it } from "node:test";
import { setImmediate } from "node:timers/promises";
import { assert, assertEquals, assertRejects } from "#assert";
import { Lane, type Place } from "../../../src/backend/stores/postgres_lane.ts";
import type { Session } from "../../../src/backend/stores/postgres_session.ts";
import { HearthError } from "../../../src/protocol/errors.ts";

describe("Lane", () => {
  it("lets what is sent follow each other without waiting for answers", async () => {
    const run = new Run();
    const all = ["a", "b", "c"].map((it) => run.send(it));
    await setImmediate();
    assertEquals(run.events, ["open 1", "send a", "send b", "send c"]);
    for (const it of ["a", "b", "c"]) run.answer(it);
    assertEquals(await Promise.all(all), ["a on 1", "b on 1", "c on 1"]);
  });

  it("holds back what comes after something that has not been sent yet", async () => {
    const run = new Run();
    const decided = Promise.withResolvers<void>();
    const first = run.lane.enter((place) =>
      place.share(async (_, pass) => {
        await decided.promise;
        run.events.push("send a");
        pass();
      })
    );
    const second = run.send("b");
    await setImmediate();
    assertEquals(run.events, ["open 1"]);
    decided.resolve();
    await first;
    await setImmediate();
    run.answer("b");
    await second;
    assertEquals(run.events, ["open 1", "send a", "send b"]);
  });

  it("lets nothing overtake what turns out to need the connection for itself", async () => {
    const run = new Run();
    const first = run.lane.enter(async (place) => {
      await place.share(() => Promise.resolve());
      return await run.transactAt(place, "a");
    });
    const second = run.send("b");
    await setImmediate();
    assertEquals(run.events, ["open 1", "begin a"]);
    run.answer("a");
    await first;
    await setImmediate();
    run.answer("b");
    await second;
    assertEquals(run.events, ["open 1", "begin a", "end a", "send b"]);
  });

  it("gives transactions the connection for themselves, in the order of entering", async () => {
    const run = new Run();
    const [first, second] = [run.sendOrTransact("a"), run.sendOrTransact("b")];
    const third = run.send("c");
    await setImmediate();
    run.fail("b");
    await setImmediate();
    run.fail("a");
    await setImmediate();
    const fourth = run.send("d");
    await setImmediate();
    // The third one's answer is still to come.
    assertEquals(run.events, ["open 1", "send a", "send b", "send c"]);
    run.answer("c");
    await setImmediate();
    assertEquals(run.events.slice(4), ["begin a"]);
    run.answer("a");
    await setImmediate();
    assertEquals(run.events.slice(4), ["begin a", "end a", "begin b"]);
    run.answer("b");
    await setImmediate();
    run.answer("d");
    await Promise.all([first, second, third, fourth]);
    assertEquals(run.events.slice(4), ["begin a", "end a", "begin b", "end b", "send d"]);
  });

  it("keeps the place of work that is repeated", async () => {
    const run = new Run();
    const first = run.lane.enter(async (place) => {
      await assertRejects(() => run.transactAt(place, "a"));
      // Nothing is on its way while it waits for the repeat.
      await setImmediate();
      return await run.transactAt(place, "a");
    });
    const others = [run.send("b"), run.sendOrTransact("c")];
    await setImmediate();
    run.fail("a");
    await setImmediate();
    await setImmediate();
    run.answer("a");
    assertEquals(await first, "a on 2");
    await setImmediate();
    for (const it of ["b", "c"]) run.answer(it);
    assertEquals(await Promise.all(others), ["b on 2", "c on 2"]);
    const expected = ["open 1", "begin a", "kill 1", "open 2", "begin a", "end a"];
    assertEquals(run.events, [...expected, "send b", "send c"]);
  });

  it("holds back others while something whose sending failed waits for its repeat", async () => {
    const run = new Run();
    const waited = Promise.withResolvers<void>();
    const first = run.lane.enter(async (place) => {
      await assertRejects(() => run.sendAt(place, "a"));
      await waited.promise;
      return await run.transactAt(place, "a");
    });
    await setImmediate();
    run.fail("a");
    await setImmediate();
    const second = run.send("b");
    await setImmediate();
    assertEquals(run.events, ["open 1", "send a"]);
    waited.resolve();
    await setImmediate();
    run.answer("a");
    await first;
    await setImmediate();
    run.answer("b");
    await second;
    assertEquals(run.events, ["open 1", "send a", "begin a", "end a", "send b"]);
  });

  it("holds back what was about to be sent when something before it fails", async () => {
    const run = new Run();
    const first = run.sendOrTransact("a");
    await setImmediate();
    run.lose();
    const opened = run.holdOpening();
    const second = run.send("b");
    await setImmediate();
    run.fail("a");
    await setImmediate();
    opened();
    await setImmediate();
    run.answer("a");
    await first;
    await setImmediate();
    run.answer("b");
    await second;
    const expected = ["open 1", "send a", "kill 1", "open 2", "begin a", "end a", "send b"];
    assertEquals(run.events, expected);
  });

  it("ends a connection on which a transaction fails, and none on which something sent fails", async () => {
    const run = new Run();
    const sent = run.send("a");
    await setImmediate();
    run.fail("a");
    assertEquals((await assertRejects(() => sent)).message, "a failed");
    const transaction = run.lane.enter((place) => run.transactAt(place, "b"));
    await setImmediate();
    run.fail("b");
    assertEquals((await assertRejects(() => transaction)).message, "b failed");
    const next = run.send("c");
    await setImmediate();
    run.answer("c");
    assertEquals(await next, "c on 2");
    assertEquals(run.events, ["open 1", "send a", "begin b", "kill 1", "open 2", "send c"]);
  });

  it("opens one other connection when one is lost, and keeps the order", async () => {
    const run = new Run();
    const before = run.send("a");
    await setImmediate();
    run.answer("a");
    await before;
    run.lose();
    const all = ["b", "c", "d"].map((it) => run.send(it));
    await setImmediate();
    assertEquals(run.events.slice(2), ["kill 1", "open 2", "send b", "send c", "send d"]);
    for (const it of ["b", "c", "d"]) run.answer(it);
    assertEquals(await Promise.all(all), ["b on 2", "c on 2", "d on 2"]);
  });

  it("fails what finds no connection, and tries anew for the next", async () => {
    const run = new Run();
    run.refusals.push(new Error("refused"));
    const first = run.send("a");
    const second = run.send("b");
    assertEquals((await assertRejects(() => first)).message, "refused");
    await setImmediate();
    run.answer("b");
    assertEquals(await second, "b on 1");
    assertEquals(run.events, ["open 1", "send b"]);
  });

  it("ends when all work has ended, and takes nothing more", async () => {
    const run = new Run();
    const all = [run.sendOrTransact("a"), run.send("b")];
    const ended = run.lane[Symbol.asyncDispose]().then(() => run.events.push("ended"));
    const refusal = await assertRejects(() => run.send("c"));
    assert(refusal instanceof HearthError && refusal.code === "UNAVAILABLE", String(refusal));
    await setImmediate();
    run.fail("a");
    run.answer("b");
    await setImmediate();
    assertEquals(run.events, ["open 1", "send a", "send b", "begin a"]);
    run.answer("a");
    assertEquals(await Promise.all(all), ["a on 1", "b on 1"]);
    await ended;
    assertEquals(run.events.slice(4), ["end a", "dispose 1", "ended"]);
  });

  it("ends without ever having had a connection", async () => {
    const run = new Run();
    run.refusals.push(new Error("refused"));
    await assertRejects(() => run.send("a"));
    await run.lane[Symbol.asyncDispose]();
    await run.lane[Symbol.asyncDispose]();
    assertEquals(run.events, []);
  });
});

/** A lane on connections that note what happens; what is done on them ends when the test says so. */
class Run {
  readonly events: string[] = [];
  /** What opening a connection fails with. */
  readonly refusals: Error[] = [];
  readonly lane = new Lane(() => this.#open());
  readonly #sessions: Session[] = [];
  readonly #unanswered = new Map<string, PromiseWithResolvers<void>>();
  #opening = Promise.resolve();

  send(name: string): Promise<string> {
    return this.lane.enter((place) => this.sendAt(place, name));
  }

  /** As a batch that is not as remembered. */
  sendOrTransact(name: string): Promise<string> {
    return this.lane.enter((place) =>
      this.sendAt(place, name).catch(() => this.transactAt(place, name))
    );
  }

  sendAt(place: Place, name: string): Promise<string> {
    return place.share(async (session, pass) => {
      this.events.push(`send ${name}`);
      pass();
      await this.#answerTo(name);
      return `${name} on ${this.#numberOf(session)}`;
    });
  }

  transactAt(place: Place, name: string): Promise<string> {
    return place.alone(async (session) => {
      this.events.push(`begin ${name}`);
      await this.#answerTo(name);
      this.events.push(`end ${name}`);
      return `${name} on ${this.#numberOf(session)}`;
    });
  }

  answer(name: string): void {
    this.#take(name).resolve();
  }

  fail(name: string): void {
    this.#take(name).reject(new Error(`${name} failed`));
  }

  /** Ends the connection. */
  lose(): void {
    this.#sessions.at(-1)?.kill();
  }

  /** Keeps the next connection from opening until the function that it returns is called. */
  holdOpening(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#opening = promise;
    return resolve;
  }

  async #open(): Promise<Session> {
    await this.#opening;
    const refusal = this.refusals.shift();
    if (refusal) throw refusal;
    const number = this.#sessions.length + 1;
    this.events.push(`open ${number}`);
    let isOpen = true;
    const session: Session = {
      get isOpen() {
        return isOpen;
      },
      send: () => Promise.reject(new Error("Nothing is sent in this test")),
      run: () => Promise.reject(new Error("Nothing is run in this test")),
      kill: () => {
        isOpen = false;
        this.events.push(`kill ${number}`);
      },
      [Symbol.asyncDispose]: () => {
        this.events.push(`dispose ${number}`);
        return Promise.resolve();
      },
    };
    this.#sessions.push(session);
    return session;
  }

  #numberOf(session: Session): number {
    return this.#sessions.indexOf(session) + 1;
  }

  #answerTo(name: string): Promise<void> {
    const answer = Promise.withResolvers<void>();
    this.#unanswered.set(name, answer);
    return answer.promise;
  }

  #take(name: string): PromiseWithResolvers<void> {
    const answer = this.#unanswered.get(name);
    assert(answer, `${name} is not under way: ${this.events.join(", ")}`);
    this.#unanswered.delete(name);
    return answer;
  }
}
