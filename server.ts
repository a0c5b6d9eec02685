/**
 * The Hearth server: `serve()` to embed it, and the command line when it is run.
 *
 * @example Embedding
 * ```ts no-eval
 * import { serve } from "@hearth/sync/server";
 *
 * await using server = await serve({ port: 0, data: "./my-data" });
 * console.log(server.url);
 * ```
 *
 * @module
 */

import { dirname, relative } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { createLog } from "./src/backend/log.ts";
import { main } from "./src/cli/main.ts";
import { type HearthServer, startServer } from "./src/cli/serve.ts";
import { type Config, type LogFormat, type LogLevel, readConfig } from "./src/config.ts";
import type { FireproofJwk } from "./src/sts/fireproof_keys.ts";

export type { Config, FireproofJwk, HearthServer, LogFormat, LogLevel };

/**
 * Starts a server. What is not given has the default of `help`; of the environment only the
 * credentials of S3 are looked at, when `blobs` is set.
 *
 * @param config how it runs
 * @throws {Error} when its port is taken or its data folder cannot be used
 */
export function serve(config: Partial<Config> = {}): Promise<HearthServer> {
  const read = readConfig(() => undefined, new Map());
  if (!("config" in read)) throw new TypeError("Cannot start: a default is not allowed");
  const whole = { ...read.config, ...config };
  return startServer(whole, {
    env: (name) => process.env[name],
    log: createLog({ ...whole.log, write: console.log }),
  });
}

if (import.meta.main) {
  const ended = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => ended.abort());
  // Whoever read the log is gone: no reason to leave those who trust this server with their data.
  for (const output of [process.stdout, process.stderr]) output.on("error", () => {});
  const code = await main({
    args: process.argv.slice(2),
    env: (name) => process.env[name],
    out: (line) => void process.stdout.write(`${line}\n`),
    err: (line) => void process.stderr.write(`${line}\n`),
    invocation: invocation(),
    signal: ended.signal,
  });
  process.exit(code);
}

/** How this file is run, in words that can be run again. */
function invocation(): string {
  const { deno, bun } = process.versions;
  if (!import.meta.url.startsWith("file:")) return `deno run -A ${import.meta.url}`;
  const path = fileURLToPath(import.meta.url);
  const file = relative(process.cwd(), path);
  if (bun) return `bun run ${file}`;
  if (!deno) return `node ${file}`;
  return dirname(path) === process.cwd() ? "deno task start" : `deno run -A ${file}`;
}
