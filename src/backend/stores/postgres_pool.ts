/** A bounded set of connections, lent to one piece of work at a time. */

import { type Clock, systemClock } from "../../base/clock.ts";
import { HearthError } from "../../protocol/errors.ts";
import { retryAfterMs } from "./postgres_errors.ts";
import type { Session } from "./postgres_session.ts";

/** Options of {@linkcode Pool}. */
export interface PoolOptions {
  /** Most connections. */
  readonly maxSessions: number;
  readonly open: () => Promise<Session>;
  /** How long work waits for a connection. @default 5000 */
  readonly maxWaitMs?: number | undefined;
  /** @default systemClock */
  readonly clock?: Clock | undefined;
}

/** Work that waits beyond this number is refused at once. */
const maxWaiting = 4096;

/** What waits for a connection, or for leave to make one. */
interface Waiter {
  lend(session: Session | undefined): void;
  refuse(reason: HearthError): void;
}

/** Makes connections as they are needed, up to a bound, and keeps those that worked. */
export class Pool implements AsyncDisposable {
  readonly #maxSessions: number;
  readonly #open: () => Promise<Session>;
  readonly #maxWaitMs: number;
  readonly #clock: Clock;
  readonly #idle: Session[] = [];
  readonly #waiters = new Set<Waiter>();
  /** Pieces of work that have a connection, or leave to make one. */
  #lent = 0;
  #whenIdle = Promise.withResolvers<void>();
  #isClosed = false;

  constructor(options: PoolOptions) {
    this.#maxSessions = options.maxSessions;
    this.#open = options.open;
    this.#maxWaitMs = options.maxWaitMs ?? 5_000;
    this.#clock = options.clock ?? systemClock;
  }

  /**
   * Lends a connection. One whose work fails is ended: so is the transaction that it may be in.
   *
   * @throws {HearthError} `UNAVAILABLE` when none is free in time, or the pool is closed
   */
  async use<T>(attempt: string, work: (session: Session) => Promise<T>): Promise<T> {
    const lent = await this.#acquire(attempt);
    let session = lent;
    let isWhole = false;
    try {
      session ??= await this.#open();
      const result = await work(session);
      isWhole = true;
      return result;
    } finally {
      if (!isWhole) session?.kill();
      this.#release(session);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    for (const waiter of this.#waiters) waiter.refuse(closed("wait for the database"));
    if (this.#lent === 0) this.#whenIdle.resolve();
    await this.#whenIdle.promise;
    await Promise.all(this.#idle.splice(0).map((session) => session[Symbol.asyncDispose]()));
  }

  /** Nothing means leave to make a connection. */
  async #acquire(attempt: string): Promise<Session | undefined> {
    if (this.#isClosed) throw closed(attempt);
    if (this.#lent < this.#maxSessions) {
      this.#lent++;
      return this.#takeIdle();
    }
    if (this.#waiters.size >= maxWaiting) throw full(attempt);
    return await this.#wait(attempt);
  }

  #takeIdle(): Session | undefined {
    while (this.#idle.length > 0) {
      const session = this.#idle.pop();
      if (session?.isOpen) return session;
    }
    return undefined;
  }

  #wait(attempt: string): Promise<Session | undefined> {
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.after(this.#maxWaitMs, () => waiter.refuse(full(attempt)));
      const end = () => {
        cancel();
        this.#waiters.delete(waiter);
      };
      const waiter: Waiter = {
        lend: (session) => (end(), resolve(session)),
        refuse: (reason) => (end(), reject(reason)),
      };
      this.#waiters.add(waiter);
    });
  }

  #release(session: Session | undefined): void {
    const usable = session?.isOpen ? session : undefined;
    const [next] = this.#waiters;
    if (next) return next.lend(usable);
    this.#lent--;
    if (usable) this.#idle.push(usable);
    if (this.#isClosed && this.#lent === 0) this.#whenIdle.resolve();
  }
}

function full(attempt: string): HearthError {
  return new HearthError("UNAVAILABLE", `Cannot ${attempt}: all connections are busy`, {
    details: { retryAfterMs },
  });
}

function closed(attempt: string): HearthError {
  return new HearthError("UNAVAILABLE", `Cannot ${attempt}: the database is closed`);
}
