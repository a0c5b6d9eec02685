/** The server on its real stores, in a process that counts what it asks of the database. */

import { startBackend } from "../../src/backend/start_backend.ts";
import type { MetaStore } from "../../src/backend/stores/meta_store.ts";
import { silentLog } from "../../src/backend/log.ts";
import { loadSigningKey } from "../../src/cli/signing_key.ts";
import { openStores } from "../../src/cli/stores.ts";
import { readConfig } from "../../src/config.ts";
import { formatCursor } from "../../src/protocol/cursor.ts";
import { issueToken } from "../../src/sts/issue.ts";
import { createVerifier } from "../../src/sts/verify.ts";
import { createFills, fill } from "../harness/fills.ts";
import { serveCalls } from "../harness/worker.ts";

/** What the server runs on, and the ledgers that it is filled with. */
export interface HerdScene {
  readonly folder: string;
  /** URL of a Postgres database. @default SQLite in the folder */
  readonly database?: string;
  readonly ledgers: readonly string[];
  /** Commits of each ledger, of which so many lie behind the cursors handed out. */
  readonly commits: number;
  readonly behind: number;
}

/** Where a client comes back to. */
export interface HerdPlace {
  readonly ledger: string;
  readonly token: string;
  readonly cursor: string;
}

const tokenMs = 3_600_000;
const reads = ["bounds", "boundsOf", "log", "heads", "inventory", "findBlobs"] as const;
let counted = 0;

const calls = {
  start: async (scene: HerdScene): Promise<{ url: string; places: readonly HerdPlace[] }> => {
    const read = readConfig(() => undefined, new Map());
    if (!("config" in read)) throw new TypeError("Cannot start: a default is not allowed");
    const config = { ...read.config, data: scene.folder, database: scene.database };
    // Closed with the process.
    const opened = new AsyncDisposableStack();
    const key = await loadSigningKey(config);
    const stores = await openStores({ config, env: () => undefined, log: silentLog }, opened);
    const { url } = await startBackend({
      ...stores,
      metaStore: count(stores.metaStore),
      verify: createVerifier([key]),
      urlSecret: key.secret,
      host: "127.0.0.1",
      port: 0,
    });
    const { epoch } = stores.metaStore;
    const places: HerdPlace[] = [];
    for (const ledger of scene.ledgers) {
      await fill(stores.metaStore, createFills(ledger), scene.commits);
      const issuedAt = Date.now();
      const token = await issueToken(key, {
        subject: "bench",
        ledgers: [{ id: ledger, right: "write" }],
        issuedAt,
        expiresAt: issuedAt + tokenMs,
      });
      const cursor = formatCursor({ epoch, seq: scene.commits - scene.behind });
      places.push({ ledger, token, cursor });
    }
    return { url, places };
  },
  /** How many reads of the database were asked for since the last look. */
  countReads: (): number => {
    const found = counted;
    counted = 0;
    return found;
  },
};

function count(store: MetaStore): MetaStore {
  for (const name of reads) {
    // The compiler does not see that one method is put in its own place.
    const read = store[name].bind(store) as (...args: readonly unknown[]) => Promise<never>;
    store[name] = (...args: readonly unknown[]) => {
      counted++;
      return read(...args);
    };
  }
  return store;
}

export type HerdServer = typeof calls;
await serveCalls(calls);
