/** A server inside of the test, on stores in memory, and tokens for it. */

import { createLog } from "../../../src/backend/log.ts";
import {
  type BackendDeps,
  type RunningBackend,
  startBackend,
} from "../../../src/backend/start_backend.ts";
import {
  createMemoryBlobStore,
  createMemoryMetaStore,
} from "../../../src/backend/stores/memory.ts";
import type { Right } from "../../../src/protocol/model.ts";
import { issueToken } from "../../../src/sts/issue.ts";
import { generateJwk, importKey } from "../../../src/sts/keys.ts";
import { createVerifier } from "../../../src/sts/verify.ts";

/** Options of {@linkcode TestBackend.token}. */
export interface TokenOptions {
  readonly subject?: string;
  readonly lifeMs?: number;
}

/** A line of the log. */
export type LogLine = Readonly<Record<string, unknown>>;

/** A running server. */
export interface TestBackend extends RunningBackend, AsyncDisposable {
  readonly log: readonly LogLine[];
  readonly deps: BackendDeps;
  /** A token, for `acme/todos` unless ledgers are given. */
  token(right?: Right, ledgers?: readonly string[], options?: TokenOptions): Promise<string>;
}

const key = await importKey(await generateJwk());

/** Starts a server. */
export async function startTestBackend(
  options: Partial<BackendDeps> = {},
): Promise<TestBackend> {
  const log: LogLine[] = [];
  const now = () => options.clock?.now() ?? Date.now();
  const deps: BackendDeps = {
    metaStore: createMemoryMetaStore(),
    blobStore: createMemoryBlobStore(),
    verify: createVerifier([key], { now }),
    urlSecret: key.secret,
    host: "127.0.0.1",
    port: 0,
    log: createLog({
      format: "json",
      level: "debug",
      write: (line) => log.push(JSON.parse(line)),
    }),
    ...options,
  };
  const running = await startBackend(deps);
  return {
    ...running,
    log,
    deps,
    token: (
      right = "write",
      ledgers = ["acme/todos"],
      { subject = "alice", lifeMs = 3_600_000 } = {},
    ) =>
      issueToken(key, {
        subject,
        ledgers: ledgers.map((id) => ({ id, right })),
        issuedAt: now(),
        expiresAt: now() + lifeMs,
      }),
    [Symbol.asyncDispose]: () => running.stop(),
  };
}
