/**
 * The binds of one socket: each is told the heads, then what happens. They are watches like those of
 * hearth.v1, and what these send is put into the stock client's form on its way out.
 */

import { HearthError } from "../../protocol/errors.ts";
import { decodeFrames } from "../../protocol/frames.ts";
import { isNotificationName } from "../../protocol/methods.ts";
import { parseNotice } from "../../protocol/parse.ts";
import type { Services } from "../handler.ts";
import type { SendQueue } from "../send_queue.ts";
import type { Session } from "../session.ts";
import type { LedgerId } from "../stores/meta_store.ts";
import { Watch } from "../watch.ts";
import { maxWatches } from "../watches.ts";
import type { BindRequest, ConnectionId } from "./call.ts";
import { type Told, writeEvents } from "./events.ts";

/** Options of {@linkcode Binds}. */
export interface BindsOptions {
  readonly services: Pick<Services, "hub" | "reads">;
  readonly queue: SendQueue;
  /** Runs something when the answer to the present message has been queued. */
  readonly afterReply: (effect: () => void) => void;
  /** A bind cannot go on: the socket must end, or its client would be stale. */
  readonly onError: (error: unknown) => void;
}

interface Entry {
  readonly ledger: LedgerId;
  readonly id: ConnectionId;
  readonly subject: string;
  /** Epoch ms. */
  expiresAt: number;
  end(): void;
}

/** The binds of one socket. */
export class Binds {
  readonly #options: BindsOptions;
  /**
   * By connection and ledger: the client hands an event to all who bound on its connection, so that
   * one more bind there would only double what each hears.
   */
  readonly #entries = new Map<string, Entry>();
  #lastTurn: Promise<void> = Promise.resolve();

  constructor(options: BindsOptions) {
    this.#options = options;
  }

  /** Begins, and resolves to the events that tell the heads: the answer. */
  async open({ ledger, id, session, event }: BindRequest): Promise<readonly string[]> {
    const { services: { hub, reads }, queue, afterReply, onError } = this.#options;
    const name = JSON.stringify([id.reqId, id.resId, ledger]);
    this.#end(name);
    if (this.#entries.size >= maxWatches) {
      throw new HearthError(
        "RATE_LIMITED",
        `Cannot bind "${ledger}": the socket has ${maxWatches} binds already`,
        { details: { retryAfterMs: 1000 } },
      );
    }
    const send = (frame: Uint8Array, how: "push" | "answer"): void => {
      const told = readChanges(frame);
      if (!told) return;
      for (const text of writeEvents(event, told)) queue[how](encoder.encode(text));
    };
    const watch = new Watch(ledger, {
      queue: {
        push: (frame) => send(frame, "push"),
        answer: (frame) => send(frame, "answer"),
        get busy() {
          return queue.busy;
        },
      },
      onError,
      takeTurn: (step) => this.#takeTurn(step),
      read: (ledger, after) => reads.after(ledger, after),
    });
    const stopListening = hub.listen(ledger, watch);
    const entry: Entry = {
      ledger,
      id,
      subject: session.subject,
      expiresAt: session.expiresAt,
      end: () => {
        stopListening();
        watch.close();
      },
    };
    this.#entries.set(name, entry);
    try {
      // Behind the line that listens: what happens meanwhile makes the watch catch up.
      const { changes, seq } = await reads.after(ledger, undefined);
      afterReply(() => watch.start(seq, changes.more));
      return writeEvents(event, changes);
    } catch (error) {
      if (this.#entries.get(name) === entry) this.#end(name);
      throw error;
    }
  }

  /** Ends those of a connection. */
  close({ reqId, resId }: ConnectionId): void {
    for (const [name, { id }] of this.#entries) {
      if (id.reqId === reqId && id.resId === resId) this.#end(name);
    }
  }

  closeAll(): void {
    for (const name of [...this.#entries.keys()]) this.#end(name);
  }

  /** Somebody has sent a message with a token: their binds live as long as that one. */
  renew({ subject, expiresAt, grants }: Session): void {
    for (const entry of this.#entries.values()) {
      if (entry.subject !== subject || !grants.has(entry.ledger)) continue;
      entry.expiresAt = Math.max(entry.expiresAt, expiresAt);
    }
  }

  /** Whether the token of one of them has expired. */
  hasExpired(now: number): boolean {
    return [...this.#entries.values()].some(({ expiresAt }) => now >= expiresAt);
  }

  #end(name: string): void {
    this.#entries.get(name)?.end();
    this.#entries.delete(name);
  }

  #takeTurn(step: () => Promise<void>): Promise<void> {
    const turn = this.#lastTurn.then(async () => {
      await this.#options.queue.drained();
      await step();
    });
    // The next turn comes whatever becomes of this one; its own caller hears of its failure.
    this.#lastTurn = turn.catch(() => {});
    return turn;
  }
}

const encoder = new TextEncoder();
/** What was read from notifications, each of which goes to all who watch its ledger. */
const read = new WeakMap<Uint8Array, { readonly told: Told | undefined }>();

/** What a notification of hearth.v1 tells of metas and keys; nothing when it tells something else. */
function readChanges(frame: Uint8Array): Told | undefined {
  const known = read.get(frame);
  if (known) return known.told;
  const [notice] = decodeFrames(frame, { maxItems: 1 << 24 });
  const isChange = notice?.kind === "notification" && notice.method === "metas" &&
    isNotificationName(notice.method);
  const told = isChange ? parseNotice("metas", notice.params) : undefined;
  read.set(frame, { told });
  return told;
}
