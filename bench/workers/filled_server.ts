/** The server on its real stores, which it fills first, in a process that counts what it asks of them. */

import { startBackend } from "../../src/backend/start_backend.ts";
import type { MetaStore } from "../../src/backend/stores/meta_store.ts";
import { formatCursor } from "../../src/protocol/cursor.ts";
import { createVerifier } from "../../src/sts/verify.ts";
import { createFills, fill } from "../harness/fills.ts";
import { openOwnStores, type StorePlace } from "../harness/own_stores.ts";
import { issueWriteToken } from "../harness/tokens.ts";
import { serveCalls } from "../harness/worker.ts";

/** What the server runs on, and the ledgers that it is filled with. */
export interface FilledScene extends StorePlace {
  readonly ledgers: readonly FilledLedger[];
  /** So many commits of each ledger follow the cursors handed out. */
  readonly behind: number;
}

/** A ledger of commits, each of which supersedes the one before. */
export interface FilledLedger {
  readonly ledger: string;
  readonly commits: number;
}

/** Where a client comes back to. */
export interface FilledPlace {
  readonly ledger: string;
  readonly token: string;
  readonly cursor: string;
}

const reads = ["bounds", "boundsOf", "log", "heads", "inventory", "findBlobs"] as const;
let counted = 0;

const calls = {
  start: async (scene: FilledScene): Promise<{ url: string; places: readonly FilledPlace[] }> => {
    const { stores, key } = await openOwnStores(scene);
    const { url } = await startBackend({
      ...stores,
      metaStore: count(stores.metaStore),
      verify: createVerifier([key]),
      urlSecret: key.secret,
      host: "127.0.0.1",
      port: 0,
    });
    const { epoch } = stores.metaStore;
    const places: FilledPlace[] = [];
    for (const { ledger, commits } of scene.ledgers) {
      await fill(stores.metaStore, createFills(ledger), commits);
      const token = await issueWriteToken(key, ledger);
      const cursor = formatCursor({ epoch, seq: commits - scene.behind });
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

export type FilledServer = typeof calls;
await serveCalls(calls);
