/** One connection for everything that must keep its order: statements run into each other's wake. */

import { HearthError } from "../../protocol/errors.ts";
import type { Session } from "./postgres_session.ts";

/** Where a piece of work stands in the order in which all of them entered. */
export interface Place {
  /**
   * Sends once, when all before are on their way or have ended. `pass` says that it was sent: until
   * there is an answer, others may follow.
   */
  share<T>(work: (session: Session, pass: () => void) => Promise<T>): Promise<T>;
  /**
   * Does a transaction, or several, when all before have ended and nothing else is on its way. A
   * connection on which it fails is ended: so is the transaction that it may be in.
   */
  alone<T>(work: (session: Session) => Promise<T>): Promise<T>;
}

/** A connection that several pieces of work share. How many wait is bounded by those who enter them. */
export class Lane implements AsyncDisposable {
  readonly #open: () => Promise<Session>;
  #session: Promise<Session> | undefined;
  /** All that has not ended, in order. */
  readonly #entered = new Set<Progress>();
  /** Ends of what is on its way. */
  readonly #sharing = new Set<Promise<void>>();
  #isClosed = false;

  constructor(open: () => Promise<Session>) {
    this.#open = open;
  }

  /**
   * Does work, repeats included, which nothing overtakes that enters after it. It uses its place as
   * often as it likes, once at a time.
   *
   * @throws {HearthError} `UNAVAILABLE` after the end
   */
  async enter<T>(work: (place: Place) => Promise<T>): Promise<T> {
    if (this.#isClosed) {
      throw new HearthError("UNAVAILABLE", "Cannot commit: the database is closed");
    }
    const before = [...this.#entered];
    const progress = new Progress();
    this.#entered.add(progress);
    try {
      return await work({
        share: (work) => this.#share(progress, before, work),
        alone: (work) => this.#alone(before, work),
      });
    } finally {
      this.#entered.delete(progress);
      progress.end();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    await Promise.all(Array.from(this.#entered, (it) => it.ended));
    const session = await this.#session?.catch(() => undefined);
    await session?.[Symbol.asyncDispose]();
  }

  async #share<T>(
    progress: Progress,
    before: readonly Progress[],
    work: (session: Session, pass: () => void) => Promise<T>,
  ): Promise<T> {
    for (;;) {
      for (const it of before) await it.passed;
      const session = await this.#connected();
      // One of them may have failed meanwhile, and has to come first again.
      if (!before.every((it) => it.isPassed)) continue;
      const result = work(session, () => progress.pass());
      const ended = result.then(() => {}, () => {});
      this.#sharing.add(ended);
      try {
        return await result;
      } finally {
        this.#sharing.delete(ended);
        progress.recall();
      }
    }
  }

  async #alone<T>(
    before: readonly Progress[],
    work: (session: Session) => Promise<T>,
  ): Promise<T> {
    // Nothing follows that does not see this one pass.
    for (const it of before) await it.ended;
    await Promise.all(this.#sharing);
    const session = await this.#connected();
    try {
      return await work(session);
    } catch (error) {
      session.kill();
      throw error;
    }
  }

  async #connected(): Promise<Session> {
    const opening = this.#session ??= this.#open();
    const session = await opening.catch((error: unknown) => {
      this.#forget(opening);
      throw error;
    });
    if (session.isOpen) return session;
    this.#forget(opening);
    return await this.#connected();
  }

  #forget(opening: Promise<Session>): void {
    if (this.#session === opening) this.#session = undefined;
  }
}

/** How far a piece of work is: whether others may follow it. */
class Progress {
  #passing = Promise.withResolvers<void>();
  readonly #ending = Promise.withResolvers<void>();
  #isOver = false;
  /** Whether it is on its way, or has ended. */
  isPassed = false;

  /** Resolves when it is on its way, or has ended. */
  get passed(): Promise<void> {
    return this.#passing.promise;
  }

  /** Resolves when it has ended. */
  get ended(): Promise<void> {
    return this.#ending.promise;
  }

  pass(): void {
    this.isPassed = true;
    this.#passing.resolve();
  }

  /** Is no longer on its way. */
  recall(): void {
    if (!this.isPassed || this.#isOver) return;
    this.isPassed = false;
    this.#passing = Promise.withResolvers();
  }

  end(): void {
    this.#isOver = true;
    this.pass();
    this.#ending.resolve();
  }
}
