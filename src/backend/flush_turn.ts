/** The end of a turn of the loop: when what all connections have gathered is sent. */

import { setImmediate } from "node:timers";

/**
 * Runs at the end of a turn what was asked for in it. One call of the loop serves all connections:
 * a change that goes to a thousand watchers would else schedule a thousand.
 */
export class FlushTurn {
  #asked: (() => void)[] = [];

  /** Calls `flush` once at the end of this turn. It must not throw. */
  ask(flush: () => void): void {
    if (this.#asked.push(flush) > 1) return;
    setImmediate(() => {
      const asked = this.#asked;
      this.#asked = [];
      for (const flush of asked) flush();
    });
  }
}
