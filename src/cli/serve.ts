/** `serve`: the server, from its start to its end. */

import process from "node:process";
import { createLog, errorFields, type Log } from "../backend/log.ts";
import { startBackend } from "../backend/start_backend.ts";
import { type Config, settings } from "../config.ts";
import { importFireproofKeys } from "../sts/fireproof_keys.ts";
import { createFireproofVerifier } from "../sts/fireproof_verify.ts";
import { createVerifier } from "../sts/verify.ts";
import { version } from "./version.ts";
import { type Command, parseArguments, UsageError } from "./command.ts";
import { loadSigningKey } from "./signing_key.ts";
import { openStores } from "./stores.ts";

/** A server that runs. */
export interface HearthServer extends AsyncDisposable {
  /** Where clients reach it. */
  readonly url: string;
  /** Finishes what was asked, tells clients when to come back, and ends within 10 s. */
  stop(): Promise<void>;
}

/** What a server starts with besides its settings. */
export interface ServerDeps {
  /** Where the credentials of S3 come from. */
  readonly env: (name: string) => string | undefined;
  readonly log: Log;
}

/** Starts a server on the stores that its settings name. */
export async function startServer(
  config: Config,
  { env, log }: ServerDeps,
): Promise<HearthServer> {
  await using opening = new AsyncDisposableStack();
  const key = await loadSigningKey(config);
  const fireproofKeys = await importFireproofKeys(config.fireproofKeys);
  const stores = await openStores({ config, env, log }, opening);
  const backend = await startBackend({
    ...stores,
    verify: createVerifier([key]),
    verifyFireproof: createFireproofVerifier({
      own: key,
      keys: fireproofKeys,
      onMilliseconds: ({ id }, lifeMs) =>
        log.warn("tokens of this key are written in milliseconds, and read as such", {
          key: id,
          lifeMs,
        }),
    }),
    urlSecret: key.secret,
    host: config.host,
    port: config.port,
    publicUrl: config.publicUrl,
    origins: config.origins,
    autoCreate: config.autoCreate,
    serverName: `hearth/${version}`,
    log,
  });
  opening.defer(() => backend.stop());
  const opened = opening.move();
  return {
    url: backend.url,
    stop: () => opened.disposeAsync(),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

/** Runs the server until the operator ends it. */
export const serve: Command = async (terminal, args) => {
  const { config, words } = parseArguments(terminal, args);
  if (words.length > 0) throw new UsageError(`serve takes no words, but got "${words.join(" ")}"`);
  const log = createLog({ ...config.log, write: terminal.out });
  const server = await startServer(config, { env: terminal.env, log });
  log.info(`listening on ${server.url}`, { url: server.url, data: config.data, version });
  log.info(`for a first token run: ${terminal.invocation} ${tokenHint(config)}`);

  const failed = new AbortController();
  const fail = (what: string) => (error: unknown): void => {
    log.error(what, errorFields(error));
    failed.abort();
  };
  // A fault that nobody caught leaves the process in no known state: it answers what it can, and ends.
  process.on("uncaughtException", fail("uncaught exception"));
  process.on("unhandledRejection", fail("unhandled rejection"));
  await given(AbortSignal.any([terminal.signal, failed.signal]));
  log.info("stopping");
  await server.stop();
  log.info("stopped");
  return failed.signal.aborted ? 1 : 0;
};

function tokenHint({ data }: Config): string {
  const folder = data === settings.data.fallback ? "" : ` --data ${JSON.stringify(data)}`;
  return `token acme/todos --right write --for alice --expires 1h${folder}`;
}

function given(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
