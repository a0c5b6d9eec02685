/** The real server, as an operator starts it, with a data folder of its own. */

import { fileURLToPath } from "node:url";
import { loadSigningKey } from "../../src/cli/signing_key.ts";
import { startChild } from "../../tests/harness/child.ts";
import { eventually } from "../../tests/harness/eventually.ts";
import { freePort } from "../../tests/harness/ports.ts";
import { thisRuntime } from "../../tests/harness/runtimes.ts";
import { makeFolder } from "./folders.ts";
import { issueStockToken, issueWriteToken } from "./tokens.ts";

/** A running server. */
export interface Hearth extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
  /** How often each method was called since the last look; needs `log: "debug"`. */
  countRequests(): Readonly<Record<string, number>>;
  /** A token to write to a ledger, `tenant/ledger`. */
  token(ledger: string): Promise<string>;
  /** The same for the stock client. */
  stockToken(ledger: string): Promise<string>;
}

/** Options of {@linkcode startHearth}. */
export interface HearthOptions {
  /** @default "warn" */
  readonly log?: "debug" | "warn";
  /** URL of a Postgres database. @default SQLite in a folder of its own */
  readonly database?: string;
  /** URL of a NATS server that tells other servers on the database. @default through the database */
  readonly bus?: string;
}

const script = fileURLToPath(new URL("../../server.ts", import.meta.url));
const startMs = 60_000;

/** Starts a server and waits until it answers. */
export async function startHearth(
  { log = "warn", database, bus }: HearthOptions = {},
): Promise<Hearth> {
  const data = makeFolder();
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  let counts: Record<string, number> = {};
  const child = startChild(thisRuntime.command, [...thisRuntime.runs(), script], {
    env: {
      PORT: String(port),
      HEARTH_DATA: data,
      HEARTH_LOG: `json,${log}`,
      DATABASE_URL: database,
      HEARTH_BUS: bus,
    },
    onLine: (line) => {
      const method = /"method":"(\w+)"/.exec(line)?.[1];
      if (method !== undefined) counts[method] = (counts[method] ?? 0) + 1;
    },
  });
  let ended = false;
  const end = () => void (ended = true);
  child.ended.then(end, end);
  await eventually(async () => {
    if (!ended) await fetch(`${url}/healthz`).then((answer) => answer.body?.cancel());
  }, { timeoutMs: startMs, everyMs: 50 });
  if (ended) throw new Error(`The server ended at its start:\n${child.lines.join("\n")}`);
  const key = await loadSigningKey({ data, database });
  return {
    url,
    pid: child.pid,
    countRequests: () => {
      const found = counts;
      counts = {};
      return found;
    },
    token: (ledger) => issueWriteToken(key, ledger),
    stockToken: (ledger) => issueStockToken(key, ledger),
    [Symbol.asyncDispose]: async () => {
      await child.end("SIGTERM");
    },
  };
}
