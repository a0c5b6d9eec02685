/** Durable commits of many clients on Postgres against bare inserts of 32 connections. */

import { openTestDatabases } from "../../tests/harness/postgres_server.ts";
import { startHearth } from "../harness/hearth.ts";
import type { Row } from "../harness/row.ts";
import { startWorker } from "../harness/worker.ts";
import type { PostgresInserts } from "../workers/postgres_inserts.ts";
import { type Load, measureLoads } from "./commits.ts";

const loads: readonly Load[] = [
  { clients: 32, ledgers: 1, reach: { least: 0.7 } },
  { clients: 32, ledgers: 32, reach: { least: 0.7 } },
  { clients: 256, ledgers: 1, reach: { least: 1 } },
  { clients: 256, ledgers: 256, reach: { least: 1 } },
];

/** Of the reference. */
const connections = 32;

/** Measures these rows. */
export async function measurePostgres(): Promise<Row[]> {
  await using databases = openTestDatabases();
  await using database = await databases.take();
  await using bareDatabase = await databases.take();
  await using hearth = await startHearth({ database: database.url });
  await using bare = startWorker<PostgresInserts>(
    new URL("../workers/postgres_inserts.ts", import.meta.url),
  );
  await bare.calls.open({ url: bareDatabase.url, connections });
  const rows = await measureLoads(hearth, {
    loads,
    rounds: 7,
    ms: 600,
    bare: () => bare.calls.run({ ms: 400 }),
    against: `bare inserts/s of ${connections} connections`,
    prefix: "Postgres: ",
  });
  await bare.calls.close();
  return rows;
}
