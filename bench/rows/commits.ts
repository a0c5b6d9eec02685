/** Durable commits of several clients against bare durable inserts of the same bytes. */

import { makeFolder } from "../harness/folders.ts";
import { type Hearth, startHearth } from "../harness/hearth.ts";
import { type Reach, type Row, toRow } from "../harness/row.ts";
import { byTurns } from "../harness/statistics.ts";
import { startWorker } from "../harness/worker.ts";
import type { CommitClients, Group } from "../workers/commit_clients.ts";
import type { SqliteInserts } from "../workers/sqlite_inserts.ts";

/** So many clients on so many ledgers. */
export interface Load {
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
  await using bare = startWorker<SqliteInserts>(
    new URL("../workers/sqlite_inserts.ts", import.meta.url),
  );
  await bare.calls.open({ folder: makeFolder() });
  return await measureLoads(hearth, {
    loads,
    rounds,
    ms,
    bare: () => bare.calls.run({ ms: bareMs }),
    against: "bare SQLite durable inserts/s",
  });
}

/** How to measure loads. */
export interface LoadsOptions {
  readonly loads: readonly Load[];
  readonly rounds: number;
  /** Of each load in a round. */
  readonly ms: number;
  /** The reference: rows per second. */
  readonly bare: () => Promise<number>;
  readonly against: string;
  /** What leads the name of each row. */
  readonly prefix?: string;
}

/** Measures loads on one server, each with the reference right beside it in every round. */
export async function measureLoads(
  hearth: Hearth,
  { loads, rounds, ms, bare, against, prefix = "" }: LoadsOptions,
): Promise<Row[]> {
  await using clients = startWorker<CommitClients>(
    new URL("../workers/commit_clients.ts", import.meta.url),
  );
  for (const load of loads) {
    await clients.calls.open(await toGroup(hearth, load));
    await clients.calls.run({ name: nameOf(load), ms }); // Warms up.
  }
  // The disk's mood changes within a second: hence the reference between any two loads.
  const values = await byTurns(
    rounds,
    loads.flatMap((load) => [() => clients.calls.run({ name: nameOf(load), ms }), bare]),
  );
  return loads.map((load, at) =>
    toRow({
      name: `${prefix}${nameOf(load)}`,
      unit: "commits/s",
      values: values[2 * at] ?? [],
      against: { name: against, values: values[2 * at + 1] ?? [] },
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
