/** What a commit and a catch-up cost in a long ledger against the same in short ones. */

import { openTestDatabases } from "../../tests/harness/postgres_server.ts";
import { makeFolder } from "../harness/folders.ts";
import { type Row, toRow } from "../harness/row.ts";
import { byTurns } from "../harness/statistics.ts";
import { startWorker } from "../harness/worker.ts";
import type { CatchUp } from "../workers/catch_up.ts";
import type { CommitClients } from "../workers/commit_clients.ts";
import type { FilledPlace, FilledServer } from "../workers/filled_server.ts";

const longCommits = 100_000;
const shortCommits = 100;
/** Metas behind the cursor of who catches up: all of a short ledger. */
const behind = 100;
const clientCounts = [1, 32];
const rounds = 15;
/** Short enough that a short ledger stays one while it is written to. */
const ms = 100;
const warmUpMs = 20;
const catchUps = 25;

/** Measures these rows. */
export async function measureGrowth(): Promise<Row[]> {
  await using databases = openTestDatabases();
  await using database = await databases.take();
  return [
    ...await measureOn("SQLite", undefined),
    ...await measureOn("Postgres", database.url),
  ];
}

async function measureOn(store: string, database: string | undefined): Promise<Row[]> {
  await using server = startWorker<FilledServer>(
    new URL("../workers/filled_server.ts", import.meta.url),
  );
  // Commits make a short ledger longer: each round has one of its own.
  const names = Array.from({ length: 1 + clientCounts.length * rounds }, (_, at) => `short-${at}`);
  const { url, places: [long, short, ...fresh] } = await server.calls.start({
    folder: makeFolder(),
    ...(database !== undefined && { database }),
    ledgers: [
      { ledger: "bench/long", commits: longCommits },
      ...names.map((name) => ({ ledger: `bench/${name}`, commits: shortCommits })),
    ],
    behind,
  });
  if (!long || !short) throw new Error("Cannot measure growth: the server filled no ledgers");
  const rows = [await measureCatchUps(store, url, long, short)];
  for (const [at, clients] of clientCounts.entries()) {
    const shorts = fresh.slice(at * rounds, (at + 1) * rounds);
    rows.push(await measureCommits(store, url, clients, long, shorts));
  }
  return rows;
}

async function measureCatchUps(
  store: string,
  url: string,
  long: FilledPlace,
  short: FilledPlace,
): Promise<Row> {
  await using reader = startWorker<CatchUp>(new URL("../workers/catch_up.ts", import.meta.url));
  for (const place of [long, short]) await reader.calls.open({ url, ...place });
  const measures = [long, short].map((place) => () =>
    reader.calls.run({ ...place, times: catchUps })
  );
  await byTurns(1, measures); // Warms up.
  const [values = [], shortValues = []] = await byTurns(rounds, measures);
  return toRow({
    name: `${store}: catch-up of ${behind} metas, ledger of ${longCommits}`,
    unit: "ms",
    values,
    against: { name: `ledger of ${shortCommits}, ms`, values: shortValues },
    reach: { most: 1.1 },
  });
}

async function measureCommits(
  store: string,
  url: string,
  clientCount: number,
  long: FilledPlace,
  shorts: readonly FilledPlace[],
): Promise<Row> {
  await using worker = startWorker<CommitClients>(
    new URL("../workers/commit_clients.ts", import.meta.url),
  );
  for (const { ledger, token } of [long, ...shorts]) {
    const clients = Array.from({ length: clientCount }, () => ({ ledger, token }));
    await worker.calls.open({ name: ledger, url, via: "websocket", clients });
  }
  const millisecondsOn = async (place: FilledPlace | undefined): Promise<number> => {
    if (!place) throw new RangeError("Cannot measure a round: it has no short ledger of its own");
    // Warms up each time: what a server remembers of a ledger is cold at first.
    await worker.calls.run({ name: place.ledger, ms: warmUpMs });
    return 1000 / await worker.calls.run({ name: place.ledger, ms });
  };
  let round = 0;
  const [values, shortValues] = await byTurns(rounds, [
    () => millisecondsOn(long),
    () => millisecondsOn(shorts[round++]),
  ]);
  return toRow({
    name: `${store}: cost of a commit, ${clientCount} client${
      clientCount === 1 ? "" : "s"
    }, ledger of ${longCommits}`,
    unit: "ms",
    values,
    against: { name: `ledger of ${shortCommits}, ms`, values: shortValues },
    reach: { most: 1.1 },
  });
}
