/** What waits to be sent on one connection: bounded, and joined into few messages. */

import { type Clock, pause } from "../base/clock.ts";
import { joinFrames } from "../protocol/frames.ts";
import { FlushTurn } from "./flush_turn.ts";

/** The slice of a WebSocket that sends. */
export interface Outlet {
  readonly readyState: number;
  /** The state in which it sends. */
  readonly OPEN: number;
  /** Bytes taken that have not left the process yet. */
  readonly bufferedAmount: number;
  send(message: Uint8Array): void;
}

/** Options of {@linkcode SendQueue}. */
export interface SendQueueOptions {
  readonly clock: Clock;
  /** Called once, when a push finds the queue full: the connection must end, or it would have a gap. */
  readonly onFull: () => void;
  /** Shared by all connections of a server. @default one of its own */
  readonly turn?: FlushTurn | undefined;
  /** Whether each frame leaves as a message of its own. @default false, they are joined */
  readonly separate?: boolean | undefined;
  /** Most bytes of pushes that wait. @default 1 MiB */
  readonly maxBytes?: number | undefined;
  /** From this much on, new work waits for the connection. @default 256 KiB */
  readonly busyBytes?: number | undefined;
}

/** How often a backlog is looked at: Bun's sockets do not tell when they have drained. */
const lookMs = 10;

/**
 * Largest message that is joined of several frames. Each value of a frame has a byte at least, so that
 * such a message never has more values than a receiver may take (65,536).
 */
const maxJoinedBytes = 64 << 10;
/** Most that a WebSocket adds to a message. */
const headBytes = 10;

/** The frames of one connection on their way out. */
export class SendQueue {
  readonly #outlet: Outlet;
  readonly #options: SendQueueOptions;
  readonly #maxBytes: number;
  readonly #busyBytes: number;
  #frames: Uint8Array[] = [];
  #frameBytes = 0;
  /**
   * Most that {@linkcode bytes} can be: what it was at the last look, and all that came since. To ask
   * the socket costs more than a push, so that it is asked only when this comes to a bound.
   */
  #atMost = 0;
  /** Bytes of the answers in the queue: they were asked for, so they are not held against it. */
  #answerBytes = 0;
  readonly #turn: FlushTurn;
  /** Whether the turn will flush. */
  #asked = false;
  #full = false;
  #ended = false;
  /** Ends the waits; there is one as soon as something waits. */
  #end: AbortController | undefined;

  constructor(outlet: Outlet, options: SendQueueOptions) {
    this.#outlet = outlet;
    this.#options = options;
    this.#maxBytes = options.maxBytes ?? 1 << 20;
    this.#busyBytes = options.busyBytes ?? 256 << 10;
    this.#turn = options.turn ?? new FlushTurn();
  }

  /** Bytes that have not left the process. */
  get bytes(): number {
    return this.#frameBytes + this.#outlet.bufferedAmount;
  }

  /** Whether new work should wait. */
  get busy(): boolean {
    return this.#look() > this.#busyBytes;
  }

  /**
   * Sends what the connection has asked for, whatever its size. The caller waits for
   * {@linkcode drained} before it makes the next, so that one answer waits at most.
   */
  answer(frame: Uint8Array): void {
    if (!this.busy) this.#answerBytes = 0;
    this.#answerBytes += frame.length;
    this.#add(frame);
  }

  /** Sends what happens by itself. A connection that does not keep up is given up: `onFull`. */
  push(frame: Uint8Array): void {
    if (this.#full) return;
    const isClose = this.#atMost + frame.length > Math.min(this.#busyBytes, this.#maxBytes);
    const bytes = isClose ? this.#look() : this.#atMost;
    if (bytes <= this.#busyBytes) this.#answerBytes = 0;
    if (bytes + frame.length <= this.#maxBytes + this.#answerBytes) return this.#add(frame);
    // A frame that finds nothing waiting is sent whatever its size: it cannot be had in parts.
    if (bytes === 0) return this.#add(frame);
    this.#full = true;
    this.#options.onFull();
  }

  /** Resolves when new work may be sent, or when the connection has ended. */
  async drained(): Promise<void> {
    while (this.busy && !this.#ended) {
      this.flush();
      this.#end ??= new AbortController();
      if (this.busy) await pause(this.#options.clock, lookMs, this.#end.signal);
    }
  }

  /** Sends at once what waits for the end of the turn. */
  flush(): void {
    this.#asked = false;
    const frames = this.#frames;
    if (frames.length === 0) return;
    this.#frames = [];
    this.#frameBytes = 0;
    const outlet = this.#outlet;
    // One that is closing takes nothing more: its client resumes by cursor.
    if (outlet.readyState !== outlet.OPEN) return;
    for (const message of this.#options.separate ? frames : toMessages(frames)) {
      this.#atMost += headBytes;
      outlet.send(message);
    }
  }

  /** Forgets what waits: the connection has ended. */
  end(): void {
    this.#ended = true;
    this.#frames = [];
    this.#frameBytes = 0;
    this.#end?.abort();
  }

  #look(): number {
    return this.#atMost = this.bytes;
  }

  #add(frame: Uint8Array): void {
    this.#frames.push(frame);
    this.#frameBytes += frame.length;
    this.#atMost += frame.length;
    // Frames of one turn of the loop leave as one message: a group commit answers many at once.
    if (this.#asked) return;
    this.#asked = true;
    this.#turn.ask(this);
  }
}

/** Puts frames that follow each other into as few messages as may be. */
function toMessages(frames: readonly Uint8Array[]): readonly Uint8Array[] {
  if (frames.length === 1) return frames;
  const messages: Uint8Array[] = [];
  let from = 0;
  let bytes = 0;
  frames.forEach((frame, at) => {
    if (at > from && bytes + frame.length > maxJoinedBytes) {
      messages.push(joinFrames(frames.slice(from, at)));
      from = at;
      bytes = 0;
    }
    bytes += frame.length;
  });
  messages.push(joinFrames(frames.slice(from)));
  return messages;
}
