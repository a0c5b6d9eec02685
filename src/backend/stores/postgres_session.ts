/** One connection to Postgres, from its start to its end: it is never made again behind our back. */

import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import postgres from "postgres";
import { type Clock, systemClock } from "../../base/clock.ts";
import type { Row } from "./rows.ts";

/** Options of {@linkcode openSession}. */
export interface SessionOptions {
  /** `postgres://user:password@host:port/database`, of one host. */
  readonly url: string;
  /** How long making a connection may take. @default 5000 */
  readonly connectTimeoutMs?: number | undefined;
  /** After which the server gives up a statement. @default 30000 */
  readonly statementTimeoutMs?: number | undefined;
  /** After which the server gives up waiting for a lock. @default 10000 */
  readonly lockTimeoutMs?: number | undefined;
  /** @default systemClock */
  readonly clock?: Clock | undefined;
}

/** A statement and what goes into its parameters. */
export interface Statement {
  readonly text: string;
  /** Texts (also of arrays), numbers and binary. */
  readonly values: readonly (string | number | Uint8Array)[];
}

/** Rows by the name that the caller gave the statement. */
export type Answers<Names extends string> = { readonly [Name in Names]: readonly Row[] };

/** A connection. */
export interface Session extends AsyncDisposable {
  /** Whether it has not ended. */
  readonly isOpen: boolean;
  /**
   * Sends all statements at once, in their order, and waits for all answers: one round trip, save
   * for statements that this connection has not seen before. Absent ones have no rows.
   *
   * @throws the first failure
   */
  send<const Names extends string>(
    statements: Readonly<Record<Names, Statement | undefined>>,
  ): Promise<Answers<Names>>;
  /** Runs statements that have no parameters and no rows, separated by semicolons. */
  run(script: string): Promise<void>;
  /** Ends it at once, whatever it is doing. */
  kill(): void;
}

/** A statement with its parameters. */
export function statement(text: string, ...values: Statement["values"]): Statement {
  return { text, values };
}

/**
 * What every connection is pinned to, whatever the database or the role sets.
 *
 * Plans are made once for each connection, perhaps when tables are still small: what is switched
 * off would be right then and wrong later. All statements here find few rows by an index.
 */
export function sessionSettings(options: Omit<SessionOptions, "url">): Record<string, string> {
  return {
    application_name: "hearth",
    search_path: "hearth",
    synchronous_commit: "on",
    default_transaction_isolation: "read committed",
    default_transaction_read_only: "off",
    statement_timeout: String(options.statementTimeoutMs ?? defaultStatementTimeoutMs),
    lock_timeout: String(options.lockTimeoutMs ?? 10_000),
    idle_in_transaction_session_timeout: "10000",
    bytea_output: "hex",
    plan_cache_mode: "force_generic_plan",
    enable_seqscan: "off",
    enable_bitmapscan: "off",
    enable_hashjoin: "off",
    enable_mergejoin: "off",
    max_parallel_workers_per_gather: "0",
    jit: "off",
  };
}

/** Connects. @throws what the driver or the server fails with */
export async function openSession(options: SessionOptions): Promise<Session> {
  const session = new PostgresSession(options);
  await session.send({ greeting: statement("select 1") });
  return session;
}

const defaultStatementTimeoutMs = 30_000;
/** How much later than the server we give up: then it is the network that is silent. */
const graceMs = 5_000;
/** How long a connection may take to say farewell, in seconds. */
const farewellSeconds = 2;

/** Types as the stores want them: whole numbers, and binary that is no `Buffer`. */
const types = {
  integer: { to: 20, from: [20], serialize: String, parse: Number },
  bytea: {
    to: 17,
    from: [17],
    serialize: (bytes: Uint8Array) => `\\x${toBuffer(bytes).toString("hex")}`,
    parse: (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex.slice(2), "hex")),
  },
};

class PostgresSession implements Session {
  readonly #client: postgres.Sql<{ integer: number; bytea: Uint8Array }>;
  readonly #clock: Clock;
  readonly #deadlineMs: number;
  #socket: Socket | undefined;
  #isOpen = true;

  constructor(options: SessionOptions) {
    this.#clock = options.clock ?? systemClock;
    this.#deadlineMs = (options.statementTimeoutMs ?? defaultStatementTimeoutMs) + graceMs;
    const settings = {
      max: 1,
      types,
      fetch_types: false,
      // The driver would end a connection of a certain age between two round trips of a transaction.
      max_lifetime: 0,
      idle_timeout: 0,
      backoff: () => 0,
      connect_timeout: (options.connectTimeoutMs ?? 5_000) / 1000,
      connection: sessionSettings(options),
      // Notices say that something is there already, as when two servers start at once.
      onnotice: () => {},
      onclose: () => this.#end(),
      socket: (target: SocketTarget) => this.#connect(target),
    };
    this.#client = postgres(options.url, settings);
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  async send<const Names extends string>(
    statements: Readonly<Record<Names, Statement | undefined>>,
  ): Promise<Answers<Names>> {
    const entries = Object.entries<Statement | undefined>(statements);
    const results = await this.#all(entries.map(([, it]) => it));
    const answers = entries.map(([name], at) => [name, results[at]]);
    // The compiler does not follow names through entries and back.
    return Object.fromEntries(answers) as Answers<Names>;
  }

  async run(script: string): Promise<void> {
    await this.#settle([this.#client.unsafe(script).simple()]);
  }

  kill(): void {
    this.#isOpen = false;
    this.#socket?.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOpen = false;
    await this.#client.end({ timeout: farewellSeconds });
  }

  async #all(statements: readonly (Statement | undefined)[]): Promise<readonly (readonly Row[])[]> {
    const sent = statements.map((it) =>
      it && this.#client.unsafe(it.text, [...it.values], { prepare: true })
    );
    const rows = await this.#settle(sent.filter((it) => it !== undefined));
    let next = 0;
    return sent.map((it) => it ? rows[next++] ?? [] : []);
  }

  /** All have ended when it does, so that no answer is left for the next round trip. */
  async #settle(queries: readonly PromiseLike<readonly Row[]>[]): Promise<(readonly Row[])[]> {
    const cancel = this.#clock.after(this.#deadlineMs, () => this.kill());
    try {
      const results = await Promise.allSettled(queries);
      return results.map((it) => {
        if (it.status === "rejected") throw it.reason;
        return it.value;
      });
    } finally {
      cancel();
    }
  }

  /**
   * The driver asks for a socket whenever it wants to connect, also when the first connection ended
   * in the middle of a transaction whose other statements still wait: they must not run by themselves
   * on a second one.
   */
  #connect({ host, port, path }: SocketTarget): Socket {
    const [name, another] = host;
    const [number] = port;
    if (this.#socket) throw Object.assign(new Error("The session is over"), { code: lost });
    if (name === undefined || number === undefined || another !== undefined) {
      throw new TypeError("Cannot connect to Postgres: the URL must name one host");
    }
    // A statement that follows another at once would else wait for the first one's acknowledgement.
    const socket = path ? connect(path) : connect(number, name).setNoDelay(true);
    this.#socket = socket;
    // Where the driver finds the name to check a certificate against.
    return Object.assign(socket, { host: name });
  }

  #end(): void {
    this.#isOpen = false;
    // Refuses what the driver still holds back for a next connection.
    void this.#client.end({ timeout: 0 });
  }
}

const lost = "CONNECTION_CLOSED";

/** What the driver tells of where to connect. */
interface SocketTarget {
  readonly host: readonly string[];
  readonly port: readonly number[];
  readonly path: string | false | undefined;
}

function toBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
