/** What a server keeps its data in and hears of other servers by, as the settings say. */

import { join } from "node:path";
import type { Bus } from "../backend/bus/bus.ts";
import { openNatsBus } from "../backend/bus/nats_bus.ts";
import { openPostgresBus } from "../backend/bus/postgres_bus.ts";
import { errorFields, type Log } from "../backend/log.ts";
import type { BlobStore } from "../backend/stores/blob_store.ts";
import { openDisk } from "../backend/stores/disk.ts";
import type { MetaStore } from "../backend/stores/meta_store.ts";
import { openPostgres } from "../backend/stores/postgres.ts";
import { openS3 } from "../backend/stores/s3.ts";
import { parseS3Url } from "../backend/stores/s3_place.ts";
import { openSqlite } from "../backend/stores/sqlite.ts";
import type { Config } from "../config.ts";

/** What {@linkcode openStores} takes. */
export interface StoresOptions {
  readonly config: Config;
  /** Where the credentials of S3 come from. */
  readonly env: (name: string) => string | undefined;
  readonly log: Log;
}

/** A server's stores, open. */
export interface Stores {
  readonly metaStore: MetaStore;
  readonly blobStore: BlobStore;
  /** Present when other servers may share the database. */
  readonly bus: Bus | undefined;
}

/**
 * Opens them; closing is left to `opened`.
 *
 * @throws {HearthError} `UNAVAILABLE` when a place cannot be reached or used
 */
export async function openStores(
  options: StoresOptions,
  opened: AsyncDisposableStack,
): Promise<Stores> {
  const { config: { database, data, blobs, bus }, env, log } = options;
  const metaStore = opened.use(
    database === undefined
      ? await openSqlite({ path: join(data, "hearth.sqlite") })
      : await openPostgres({ url: database }),
  );
  const blobStore = opened.use(
    blobs === undefined
      // The SQLite file is locked by this process, and so is the folder beside it.
      ? await openDisk({
        directory: join(data, "blobs"),
        ...(database === undefined && { staleMs: 0 }),
      })
      : await openS3({
        ...parseS3Url(blobs, env),
        onLeftover: (error) => log.warn("parts of an upload stay in S3", errorFields(error)),
      }),
  );
  if (database !== undefined && blobs === undefined) {
    log.warn(
      "large blobs stay in the data folder: servers that share the database need HEARTH_BLOBS",
    );
  }
  return { metaStore, blobStore, bus: opened.use(await openBus(database, bus, log)) };
}

async function openBus(
  database: string | undefined,
  bus: string | undefined,
  log: Log,
): Promise<Bus | undefined> {
  if (database === undefined) return undefined;
  if (bus === undefined) return await openPostgresBus({ url: database, log });
  const { host, username, password } = new URL(bus);
  return await openNatsBus({
    servers: [host],
    ...(username !== "" && { user: decodeURIComponent(username) }),
    ...(password !== "" && { password: decodeURIComponent(password) }),
    log,
  });
}
