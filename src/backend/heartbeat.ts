/** Notices a peer that is gone: asks after silence, and gives up when nothing comes back. */

import { heartbeatGraceMs } from "../protocol/limits.ts";

/**
 * Watches over one peer. It counts the time that it is told has passed: a clock that is set, or a
 * server that stood still, does not make all peers look dead at once.
 */
export class Heartbeat {
  readonly #heartbeatMs: number;
  #silentMs = 0;
  /** The backlog when the peer was asked; nothing while it need not be. */
  #askedWith: number | undefined;

  /** @param heartbeatMs silence after which the peer is asked */
  constructor(heartbeatMs: number) {
    this.#heartbeatMs = heartbeatMs;
  }

  /** The peer has given a sign of life. */
  seen(): void {
    this.#silentMs = 0;
    this.#askedWith = undefined;
  }

  /**
   * Time has passed.
   *
   * @param backlog bytes that wait to leave. While they grow fewer the peer is there: an answer cannot
   * overtake a long message on a slow link
   * @returns what is to be done
   */
  pass(ms: number, backlog: number): "nothing" | "ask" | "give up" {
    this.#silentMs += ms;
    if (this.#askedWith === undefined) {
      if (this.#silentMs < this.#heartbeatMs) return "nothing";
      this.#silentMs = 0;
      this.#askedWith = backlog;
      return "ask";
    }
    if (this.#silentMs < heartbeatGraceMs) return "nothing";
    if (backlog >= this.#askedWith) return "give up";
    this.seen();
    return "nothing";
  }
}
