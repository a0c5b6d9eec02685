/** The requests of one connection, handled one after another, in the order in which they came. */

import type { Request } from "../protocol/frames.ts";

/** Options of {@linkcode RequestQueue}. */
export interface RequestQueueOptions<R = Request> {
  /** Answers a request. Must not reject. */
  readonly handle: (request: R) => Promise<void>;
  /** Called when so many wait that the connection should not be read, and when it may be again. */
  readonly onCrowded: (crowded: boolean) => void;
  /** From how many waiting requests on it is crowded. @default 64 */
  readonly maxWaiting?: number | undefined;
}

/**
 * A serial queue. What it holds is bounded by its owner, who stops reading when it is crowded: one
 * read from the network then is the most that still comes.
 */
export class RequestQueue<R extends object = Request> {
  readonly #options: RequestQueueOptions<R>;
  readonly #maxWaiting: number;
  #waiting: R[] = [];
  #running: Promise<void> | undefined;
  #crowded = false;

  constructor(options: RequestQueueOptions<R>) {
    this.#options = options;
    this.#maxWaiting = options.maxWaiting ?? 64;
  }

  /** Requests that wait. */
  get length(): number {
    return this.#waiting.length;
  }

  /** Whether a request is being handled or waits. */
  get active(): boolean {
    return this.#running !== undefined;
  }

  add(request: R): void {
    this.#waiting.push(request);
    this.#tell();
    this.#running ??= this.#run();
  }

  /** Resolves when nothing waits and nothing runs. */
  async settled(): Promise<void> {
    while (this.#running) await this.#running;
  }

  /** Forgets what waits; what runs goes on to its end. */
  clear(): void {
    this.#waiting = [];
  }

  async #run(): Promise<void> {
    for (;;) {
      const request = this.#waiting.shift();
      if (!request) break;
      this.#tell();
      await this.#options.handle(request);
    }
    this.#running = undefined;
  }

  #tell(): void {
    const crowded = this.#crowded
      ? this.#waiting.length > this.#maxWaiting / 2
      : this.#waiting.length >= this.#maxWaiting;
    if (crowded === this.#crowded) return;
    this.#crowded = crowded;
    this.#options.onCrowded(crowded);
  }
}
