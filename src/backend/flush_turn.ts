/** The end of a turn of the loop: when what all connections have gathered is sent. */

import { setImmediate } from "node:timers";

/** What has gathered something to send. */
export interface Flushable {
  /** Sends it. Must not throw. */
  flush(): void;
}

/**
 * Flushes at the end of a turn whoever asked for it. One call of the loop serves all connections:
 * a change that goes to a thousand watchers would else schedule a thousand.
 */
export class FlushTurn {
  #asked: Flushable[] = [];

  /** Flushes it at the end of this turn. */
  ask(flushable: Flushable): void {
    if (this.#asked.push(flushable) > 1) return;
    setImmediate(() => {
      const asked = this.#asked;
      this.#asked = [];
      for (const flushable of asked) flushable.flush();
    });
  }
}
