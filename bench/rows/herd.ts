/** Two thousand clients that come back at once against as many that open bare sockets. */

import { openTestDatabases } from "../../tests/harness/postgres_server.ts";
import { makeFolder } from "../harness/folders.ts";
import { type Row, toRow } from "../harness/row.ts";
import { byTurns } from "../harness/statistics.ts";
import { startWorker } from "../harness/worker.ts";
import type { FilledServer } from "../workers/filled_server.ts";
import type { GreetingServer } from "../workers/greeting_server.ts";
import type { Herd } from "../workers/herd.ts";

const clients = 2000;
/** Commits that each client has missed. */
const behind = 10;
const commits = 300;
const rounds = 5;

/** Measures these rows. */
export async function measureHerd(): Promise<Row[]> {
  await using databases = openTestDatabases();
  const rows: Row[] = [];
  for (const ledgers of [1, 100]) {
    await using database = await databases.take();
    rows.push(
      ...await measureOn("SQLite", ledgers, undefined),
      ...await measureOn("Postgres", ledgers, database.url),
    );
  }
  return rows;
}

async function measureOn(
  store: string,
  ledgerCount: number,
  database: string | undefined,
): Promise<Row[]> {
  await using server = startWorker<FilledServer>(
    new URL("../workers/filled_server.ts", import.meta.url),
  );
  await using bare = startWorker<GreetingServer>(
    new URL("../workers/greeting_server.ts", import.meta.url),
  );
  await using herd = startWorker<Herd>(new URL("../workers/herd.ts", import.meta.url));
  const { url, places } = await server.calls.start({
    folder: makeFolder(),
    ...(database !== undefined && { database }),
    ledgers: Array.from({ length: ledgerCount }, (_, at) => ({
      ledger: `bench/herd-${at}`,
      commits,
    })),
    behind,
  });
  const { bytes } = await herd.calls.run({ url, clients: 1, places });
  const bareUrl = await bare.calls.listen({ bytes });
  const queries: number[] = [];
  const own = async () => {
    await server.calls.countReads();
    const { ms } = await herd.calls.run({ url, clients, places });
    queries.push(await server.calls.countReads());
    return ms;
  };
  const reference = async () => (await herd.calls.run({ url: bareUrl, clients })).ms;
  await byTurns(1, [own, reference]); // Warms up.
  queries.length = 0;
  const [ownMs, bareMs] = await byTurns(rounds, [own, reference]);
  const name = `${store}: ${clients} reconnects at once, ${ledgerCount} ledger${
    ledgerCount === 1 ? "" : "s"
  }`;
  return [
    toRow({
      name: `${name}, until all are live`,
      unit: "ms",
      values: ownMs,
      against: { name: "bare ws connections that get as many bytes, ms", values: bareMs },
    }),
    toRow({
      name: `${name}, queries`,
      unit: "queries",
      values: queries,
      against: { name: "ledgers", values: queries.map(() => ledgerCount) },
    }),
  ];
}
