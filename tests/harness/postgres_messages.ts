/** What Postgres and a client of it say to each other, as far as commits are concerned. */

import { Buffer } from "node:buffer";
import { write } from "../../src/backend/stores/postgres_write.ts";

/** Takes a stream apart into messages: a letter, a length, and the rest. */
export class MessageSplitter {
  #held: Buffer = Buffer.alloc(0);
  #lengthAt: number;

  /** @param side whose stream it is: the first message of a client has no letter */
  constructor(side: "client" | "server") {
    this.#lengthAt = side === "client" ? 0 : 1;
  }

  /** The messages that are whole by now; what remains is held until the rest has come. */
  push(bytes: Buffer): readonly Buffer[] {
    const messages: Buffer[] = [];
    this.#held = Buffer.concat([this.#held, bytes]);
    for (;;) {
      if (this.#held.length < this.#lengthAt + 4) return messages;
      const end = this.#lengthAt + this.#held.readUInt32BE(this.#lengthAt);
      if (this.#held.length < end) return messages;
      messages.push(this.#held.subarray(0, end));
      this.#held = this.#held.subarray(end);
      this.#lengthAt = 1;
    }
  }
}

/** How a batch of commits becomes durable. */
export type Way = "statement" | "transaction";

/** Follows one connection, and knows which messages make commits durable. */
export class Conversation {
  /** What the server has yet to answer, one for each `ReadyForQuery`; the first greets. */
  readonly #open: (Way | undefined)[] = [undefined];
  /** Names of prepared statements that write a batch. */
  readonly #writes = new Set<string>();
  #isInTransaction = false;
  #way: Way | undefined;

  /** How many batches are on their way to become durable. */
  get atOnce(): number {
    return this.#open.filter((way) => way !== undefined).length;
  }

  /** Takes note of what the client sends. @returns how it makes a batch durable, if it does */
  ask(message: Buffer): Way | undefined {
    const [first = "", second = ""] = message.toString("latin1", 5).split("\0", 2);
    const type = message.toString("latin1", 0, 1);
    if (type === "P" && second === write) this.#writes.add(first);
    const isWrite = type === "B" && this.#writes.has(second) && !this.#isInTransaction;
    const isCommit = type === "Q" && first === "commit";
    const way = isWrite ? "statement" : isCommit ? "transaction" : undefined;
    this.#way ??= way;
    if (type === "Q") this.#isInTransaction = first === "begin";
    if (type === "Q" || type === "S") {
      this.#open.push(this.#way);
      this.#way = undefined;
    }
    return way;
  }

  /** Takes note of what the server sends. @returns how a batch became durable, if it tells of one */
  answer(message: Buffer): Way | undefined {
    const type = message.toString("latin1", 0, 1);
    const way = this.#open[0];
    if (type === "Z") this.#open.shift();
    const isKept = type === "C" && message.toString("latin1", 5, 13) !== "ROLLBACK";
    return isKept ? way : undefined;
  }
}
