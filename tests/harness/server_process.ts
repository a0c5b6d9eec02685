/** The real server as a child process, as an operator starts it: log, tokens, crash and restart. */

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { loadSigningKey } from "../../src/cli/signing_key.ts";
import { issueFireproofToken, issueToken } from "../../src/sts/issue.ts";
import type { SigningKey } from "../../src/sts/keys.ts";
import { type Child, type Exit, startChild } from "./child.ts";
import { eventually } from "./eventually.ts";
import { freePort } from "./ports.ts";
import { type Runtime, thisRuntime } from "./runtimes.ts";
import { makeTempFolder, type TempFolder } from "./temp_folder.ts";

/** Options of {@linkcode startServer}. */
export interface ServerOptions {
  /** @default the runtime that runs the test */
  readonly runtime?: Runtime;
  /** Settings besides port, data folder and log. */
  readonly env?: Readonly<Record<string, string>>;
  /** @default a free one */
  readonly port?: number;
}

/** One line of the server's log. */
export type LogLine = Readonly<Record<string, unknown>>;

/** Options of {@linkcode ServerProcess.token}. */
export interface TokenOptions {
  /** @default "write" */
  readonly right?: "read" | "write";
  /** @default "tester" */
  readonly subject?: string;
}

/** A running server. */
export interface ServerProcess extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Its log so far, over all its lives. */
  readonly log: readonly LogLine[];
  /** A token for a ledger, `tenant/ledger`. */
  token(ledger: string, options?: TokenOptions): Promise<string>;
  /** A token for the stock client, for a ledger, `tenant/ledger`. */
  stockToken(ledger: string, options?: TokenOptions): Promise<string>;
  /** Closes what its log goes to, as a log reader does that crashes. */
  stopReading(): void;
  /** Ends it as an operator does. */
  stop(): Promise<Exit>;
  /** Ends it as a crash does. */
  kill(): Promise<Exit>;
  /** Starts it again, on the same port and data. */
  start(): Promise<void>;
}

const root = fileURLToPath(new URL("../../", import.meta.url));
const serverScript = fileURLToPath(new URL("../../server.ts", import.meta.url));
/** A first start compiles, makes a key and a database, on a machine that may be busy. */
const startMs = 60_000;
/** Longer than any test. */
const tokenLifeMs = 3_600_000;

/** Starts a server with a data folder of its own and waits until it answers. */
export async function startServer(options: ServerOptions = {}): Promise<ServerProcess> {
  const server = new RealServer(await makeTempFolder(), options.port ?? await freePort(), options);
  try {
    await server.start();
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
  return server;
}

class RealServer implements ServerProcess {
  readonly port: number;
  readonly log: LogLine[] = [];
  readonly #data: TempFolder;
  readonly #runtime: Runtime;
  readonly #env: Readonly<Record<string, string>>;
  #child: Child | undefined;

  constructor(data: TempFolder, port: number, { runtime = thisRuntime, env = {} }: ServerOptions) {
    this.#data = data;
    this.port = port;
    this.#runtime = runtime;
    this.#env = env;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#running.pid;
  }

  async start(): Promise<void> {
    const child = startChild(
      this.#runtime.command,
      [...this.#runtime.runs(startPermissions()), serverScript],
      {
        cwd: root,
        env: {
          HEARTH_LOG: "json,debug",
          ...this.#env,
          PORT: String(this.port),
          HEARTH_DATA: this.#data.path,
        },
        onLine: (line) => {
          const entry = parseLogLine(line);
          if (entry) this.log.push(entry);
        },
      },
    );
    this.#child = child;
    let exit: Exit | undefined;
    void child.ended.then((found) => (exit = found), () => (exit = { code: null, signal: null }));
    await eventually(async () => {
      if (exit) return;
      const answer = await fetch(new URL("/healthz", this.url));
      await answer.body?.cancel();
      if (!answer.ok) throw new Error(`/healthz answers ${answer.status}`);
    }, { timeoutMs: startMs, everyMs: 50 });
    if (exit) throw new Error(`The server ended at its start:\n${child.lines.join("\n")}`);
  }

  async token(
    ledger: string,
    { right = "write", subject = "tester" }: TokenOptions = {},
  ): Promise<string> {
    const ledgers = [{ id: ledger, right }];
    return await issueToken(await this.#key(), { subject, ledgers, ...lifeFromNow() });
  }

  async stockToken(
    ledger: string,
    { right = "write", subject = "tester" }: TokenOptions = {},
  ): Promise<string> {
    const [tenant = "", name = ""] = ledger.split("/");
    const order = { subject, tenant, ledgers: [name], right } as const;
    return await issueFireproofToken(await this.#key(), { ...order, ...lifeFromNow() });
  }

  /** Tokens are made as the command `token` does it, without the start of a process for each. */
  #key(): Promise<SigningKey> {
    return loadSigningKey({ data: this.#data.path, database: this.#env["DATABASE_URL"] });
  }

  stopReading(): void {
    this.#running.stopReading();
  }

  stop(): Promise<Exit> {
    return this.#running.end("SIGTERM");
  }

  kill(): Promise<Exit> {
    return this.#running.end("SIGKILL");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child?.end("SIGTERM");
    await this.#data[Symbol.asyncDispose]();
  }

  get #running(): Child {
    if (!this.#child) throw new Error("The server was never started");
    return this.#child;
  }
}

function lifeFromNow() {
  const issuedAt = Date.now();
  return { issuedAt, expiresAt: issuedAt + tokenLifeMs };
}

/** The permissions with which `deno task start` runs the server. */
function startPermissions(): string[] {
  const { tasks } = JSON.parse(readFileSync(`${root}deno.json`, "utf8"));
  return String(tasks.start.command ?? tasks.start).split(/\s+/)
    .filter((word: string) => word.startsWith("--") || word.startsWith("-A"));
}

function parseLogLine(line: string): LogLine | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    return JSON.parse(line);
  } catch {
    return undefined; // A line of text that begins with a brace.
  }
}
