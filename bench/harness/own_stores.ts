/** The server's stores within this process, opened as the command line opens them. */

import { silentLog } from "../../src/backend/log.ts";
import { loadSigningKey } from "../../src/cli/signing_key.ts";
import { openStores, type Stores } from "../../src/cli/stores.ts";
import { readConfig } from "../../src/config.ts";
import type { SigningKey } from "../../src/sts/keys.ts";

/** What a server keeps its data in. */
export interface StorePlace {
  readonly folder: string;
  /** URL of a Postgres database. @default SQLite in the folder */
  readonly database?: string;
}

/** Open stores, and the key of their server. */
export interface OwnStores {
  readonly stores: Stores;
  readonly key: SigningKey;
}

/** Opens them; they are closed with the process. */
export async function openOwnStores({ folder, database }: StorePlace): Promise<OwnStores> {
  const read = readConfig(() => undefined, new Map());
  if (!("config" in read)) throw new TypeError("Cannot start: a default is not allowed");
  const config = { ...read.config, data: folder, database };
  const key = await loadSigningKey(config);
  const stores = await openStores(
    { config, env: () => undefined, log: silentLog },
    new AsyncDisposableStack(),
  );
  return { stores, key };
}
