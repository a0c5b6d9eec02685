/** Durable commits of several clients against bare durable inserts of the same bytes. */

import { makeFolder } from "../harness/folders.ts";
import { type Hearth, startHearth } from "../harness/hearth.ts";
import { type Reach, type Row, toRow } from "../harness/row.ts";
import { byTurns } from "../harness/statistics.ts";
import { startWorker } from "../harness/worker.ts";
import type { CommitClients, Group } from "../workers/commit_clients.ts";
import type { SqliteInserts } from "../workers/sqlite_inserts.ts";

interface Load {
  readonly clients: number;
  readonly ledgers: number;
  readonly reach?: Reach;
}

const loads: readonly Load[] = [
  { clients: 1, ledgers: 1, reach: { least: 0.3 } },
  { clients: 8, ledgers: 1 },
  { clients: 8, ledgers: 8 },
  { clients: 32, ledgers: 1, reach: { least: 1 } },
  { clients: 32, ledgers: 32, reach: { least: 1 } },
];

const rounds = 9;
const ms = 400;
const bareMs = 250;

/** Measures these rows. */
export async function measureCommits(): Promise<Row[]> {
  await using hearth = await startHearth();
  await using clients = startWorker<CommitClients>(
    new URL("../workers/commit_clients.ts", import.meta.url),
  );
  await using bare = startWorker<SqliteInserts>(
    new URL("../workers/sqlite_inserts.ts", import.meta.url),
  );
  await bare.calls.open({ folder: makeFolder() });
  for (const load of loads) {
    await clients.calls.open(await toGroup(hearth, load));
    await clients.calls.run({ name: nameOf(load), ms }); // Warms up.
  }
  // The disk's mood changes within a second: each load has the reference right beside it.
  const values = await byTurns(
    rounds,
    loads.flatMap((load) => [
      () => clients.calls.run({ name: nameOf(load), ms }),
      () => bare.calls.run({ ms: bareMs }),
    ]),
  );
  return loads.map((load, at) =>
    toRow({
      name: nameOf(load),
      unit: "commits/s",
      values: values[2 * at] ?? [],
      against: { name: "bare SQLite durable inserts/s", values: values[2 * at + 1] ?? [] },
      reach: load.reach,
    })
  );
}

function nameOf({ clients, ledgers }: Load): string {
  const plural = (count: number) => count === 1 ? "" : "s";
  return `commits, ${clients} client${plural(clients)}, ${ledgers} ledger${plural(ledgers)}`;
}

async function toGroup(hearth: Hearth, load: Load): Promise<Group> {
  const places = Array.from({ length: load.clients }, async (_, at) => {
    const ledger = `bench/commits-${load.clients}-${load.ledgers}-${at % load.ledgers}`;
    return { ledger, token: await hearth.token(ledger) };
  });
  const clients = await Promise.all(places);
  return { name: nameOf(load), url: hearth.url, via: "websocket", clients };
}
