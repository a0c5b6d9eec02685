/** What a commit passes on its way from a client's call to another client's callback. */

/** The moments of a commit that are taken down. */
export const moments = [
  /** The client's `commit` is called. */
  "called",
  /** It is encoded, and the client's socket is about to take it. */
  "sending",
  /** The client's socket has taken it. */
  "sent",
  /** The server has the message. */
  "received",
  /** The committer has it: parsed, and allowed by grants, digests and limits. */
  "checked",
  /** The store begins with the batch that it is in. */
  "begun",
  /** The store has answered: it is durable. */
  "stored",
  /** The turn is over, and the server's socket to the writer is about to take the reply. */
  "replying",
  /** The server's socket to the writer has taken the reply. */
  "replied",
  /** The promise of the client's `commit` resolves. */
  "acknowledged",
  /** The notification is encoded. */
  "encoded",
  /** The turn is over, and the server's socket to the watcher is about to take it. */
  "passing on",
  /** The server's socket to the watcher has taken it. */
  "passed on",
  /** The watcher's `onChanges` is called. */
  "heard",
] as const;

/** One of them. */
export type Moment = (typeof moments)[number];

/** When a commit passed each of them, in ms. */
export type Passage = Readonly<Record<Moment, number>>;

/** The way between two moments. */
export interface Stage {
  readonly name: string;
  readonly from: Moment;
  readonly to: Moment;
}

/** The whole way; behind the database it forks into two. */
export const stages: readonly Stage[] = [
  { name: "client: encode", from: "called", to: "sending" },
  { name: "client: send", from: "sending", to: "sent" },
  { name: "to the server", from: "sent", to: "received" },
  { name: "parse and check", from: "received", to: "checked" },
  { name: "wait for a batch", from: "checked", to: "begun" },
  { name: "database", from: "begun", to: "stored" },
  { name: "ack: encode, end of turn", from: "stored", to: "replying" },
  { name: "ack: send", from: "replying", to: "replied" },
  { name: "ack: to the writer's promise", from: "replied", to: "acknowledged" },
  { name: "notification: encode", from: "stored", to: "encoded" },
  { name: "notification: end of turn", from: "encoded", to: "passing on" },
  { name: "notification: send", from: "passing on", to: "passed on" },
  { name: "notification: to the watcher's callback", from: "passed on", to: "heard" },
];

/** Notes that a writer's commit passes a moment now. */
export type Mark = (writer: number, moment: Moment) => void;

/** The commits of several writers, each with one at a time. */
export class Passages {
  readonly #open = new Map<number, Partial<Record<Moment, number>>>();

  /** Begins a writer's next commit. */
  begin(writer: number): void {
    this.#open.set(writer, {});
  }

  /** The last time counts: what a socket is given before the reply was none. */
  readonly mark: Mark = (writer, moment) => {
    const passage = this.#open.get(writer);
    if (passage) passage[moment] = performance.now();
  };

  /** Ends a writer's commit. @throws when it did not pass all moments */
  end(writer: number): Passage {
    const passage = this.#open.get(writer);
    this.#open.delete(writer);
    if (!isWhole(passage)) throw new Error("Cannot time a commit: it was not seen everywhere");
    return passage;
  }
}

function isWhole(passage: Partial<Passage> | undefined): passage is Passage {
  return passage !== undefined && moments.every((moment) => passage[moment] !== undefined);
}
