/** What a server keeps its data in and hears of other servers by, as the settings say. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Bus } from "../backend/bus/bus.ts";
import { openNatsBus } from "../backend/bus/nats_bus.ts";
import { openPostgresBus } from "../backend/bus/postgres_bus.ts";
import { errorFields, type Log } from "../backend/log.ts";
import type { BlobStore } from "../backend/stores/blob_store.ts";
import type { DirectBlobs } from "../backend/stores/direct_blob_store.ts";
import { openDisk } from "../backend/stores/disk.ts";
import type { MetaStore } from "../backend/stores/meta_store.ts";
import { openPostgres } from "../backend/stores/postgres.ts";
import { openPostgresRegistry } from "../backend/stores/postgres_registry.ts";
import { openS3 } from "../backend/stores/s3.ts";
import { parseS3Url } from "../backend/stores/s3_place.ts";
import { openSqlite } from "../backend/stores/sqlite.ts";
import type { Config } from "../config.ts";
import type { Registry } from "../sts/registry.ts";

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
  /** Signs requests to the blob store, when clients may send them to it themselves. */
  readonly directBlobs: DirectBlobs | undefined;
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
  const { config: { database, data, blobs, bus }, log } = options;
  const metaStore = opened.use(
    database === undefined
      ? await openSqlite({ path: sqlitePath(data) })
      : await openPostgres({ url: database }),
  );
  const blobStores = await openBlobs(options);
  opened.use(blobStores.blobStore);
  if (database !== undefined && blobs === undefined) {
    log.warn(
      "large blobs stay in the data folder: servers that share the database need HEARTH_BLOBS",
    );
  }
  return { metaStore, ...blobStores, bus: opened.use(await openBus(database, bus, log)) };
}

/**
 * Opens the registry alone, of a database that is there; closing is left to `opened`.
 *
 * @throws {HearthError} `UNAVAILABLE` when it cannot be reached or used, also when a server holds the
 * file
 */
export async function openRegistry(
  { database, data }: Config,
  opened: AsyncDisposableStack,
): Promise<Registry> {
  if (database !== undefined) return opened.use(await openPostgresRegistry({ url: database }));
  const path = sqlitePath(data);
  if (existsSync(path)) return opened.use(await openSqlite({ path })).registry;
  throw new Error(`Cannot read "${path}": there is no such file; --data names the folder`);
}

function sqlitePath(data: string): string {
  return join(data, "hearth.sqlite");
}

async function openBlobs(
  { config: { database, data, blobs }, env, log }: StoresOptions,
): Promise<Pick<Stores, "blobStore" | "directBlobs">> {
  if (blobs === undefined) {
    const blobStore = await openDisk({
      directory: join(data, "blobs"),
      // The SQLite file is locked by this process, and so is the folder beside it.
      ...(database === undefined && { staleMs: 0 }),
    });
    return { blobStore, directBlobs: undefined };
  }
  const place = parseS3Url(blobs, env);
  const blobStore = await openS3({
    ...place,
    onLeftover: (error) => log.warn("parts of an upload stay in S3", errorFields(error)),
  });
  const { clientEndpoint } = place;
  if (clientEndpoint === undefined) return { blobStore, directBlobs: undefined };
  log.info("clients move large blobs directly", { endpoint: clientEndpoint });
  return { blobStore, directBlobs: blobStore };
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
