/**
 * The load under which Fireproof's reference backend was measured, on the stock client's door. The
 * figures of that backend stand here: they were measured on Node, on two shared cores, with its
 * database in a SQLite file.
 */

import { makeFolder } from "../harness/folders.ts";
import { type Hearth, startHearth } from "../harness/hearth.ts";
import { type Reach, type Row, toRow } from "../harness/row.ts";
import { byTurns } from "../harness/statistics.ts";
import type { StockPlace } from "../harness/stock_client.ts";
import { startWorker, type Worker } from "../harness/worker.ts";
import type { SqliteInserts } from "../workers/sqlite_inserts.ts";
import type { Pace, StockClients } from "../workers/stock_clients.ts";

interface Load {
  readonly clients: number;
  readonly ledgers: number;
  /** The reference backend's. */
  readonly reference: Pace;
  readonly reach?: Reach;
}

const loads: readonly Load[] = [
  { clients: 1, ledgers: 1, reference: { perSecond: 61, p50Ms: 16, p99Ms: 29 } },
  { clients: 8, ledgers: 1, reference: { perSecond: 24.5, p50Ms: 331, p99Ms: 377 } },
  { clients: 8, ledgers: 8, reference: { perSecond: 25, p50Ms: 311, p99Ms: 405 } },
  {
    clients: 32,
    ledgers: 1,
    reference: { perSecond: 7.4, p50Ms: 3876, p99Ms: 4637 },
    reach: { least: 100 },
  },
  {
    clients: 32,
    ledgers: 32,
    reference: { perSecond: 7.9, p50Ms: 3950, p99Ms: 4304 },
    reach: { least: 100 },
  },
];

const spreads = [
  { readers: 10, reference: { perSecond: 212, p50Ms: 44, p99Ms: 96 } },
  { readers: 100, reference: { perSecond: 347, p50Ms: 282, p99Ms: 338 } },
] as const;

const rounds = 5;
const ms = 700;
const bareMs = 250;
/** Single puts. */
const putRounds = 101;
/** Metas of a large ledger, and of a small one. */
const manyMetas = 5_000;
const fewMetas = 100;
/** The client gives up a request after so long. */
const patienceMs = 3_000;
/** Cars of a database of 300 commits, as its client uploads them at each attach. */
const historyCars = 302;

/** Measures these rows. */
export async function measureStock(): Promise<Row[]> {
  await using hearth = await startHearth();
  await using bare = startWorker<SqliteInserts>(
    new URL("../workers/sqlite_inserts.ts", import.meta.url),
  );
  await bare.calls.open({ folder: makeFolder() });
  await using clients = startWorker<StockClients>(
    new URL("../workers/stock_clients.ts", import.meta.url),
  );
  return [
    ...await measurePuts(hearth, clients, bare),
    ...await measureSpread(hearth, clients),
    ...await measureGrowth(hearth, clients),
    ...await measureAttach(hearth, clients),
  ];
}

async function measurePuts(
  hearth: Hearth,
  clients: Worker<StockClients>,
  bare: Worker<SqliteInserts>,
): Promise<Row[]> {
  for (const load of loads) {
    const places = await Promise.all(Array.from(
      { length: load.clients },
      (_, at) =>
        placeOf(hearth, `bench/stock-${load.clients}-${load.ledgers}-${at % load.ledgers}`),
    ));
    await clients.calls.open({ name: nameOf(load), places });
    await clients.calls.run({ name: nameOf(load), ms }); // Warms up.
  }
  const paces = loads.map((): Pace[] => []);
  const values = await byTurns(
    rounds,
    loads.flatMap((load, at) => [async () => {
      const pace = await clients.calls.run({ name: nameOf(load), ms });
      paces[at]?.push(pace);
      return pace.perSecond;
    }, () => bare.calls.run({ ms: bareMs })]),
  );
  return loads.flatMap((load, at) => {
    const name = nameOf(load);
    const puts = values[2 * at] ?? [];
    const pace = paces[at] ?? [];
    return [
      toRow({
        name,
        unit: "puts/s",
        values: puts,
        against: referenceOf("puts/s", load.reference.perSecond, puts),
        reach: load.reach,
      }),
      toRow({
        name: `${name}, beside inserts`,
        unit: "puts/s",
        values: puts,
        against: { name: "bare SQLite durable inserts/s", values: values[2 * at + 1] ?? [] },
      }),
      ...toTimes(name, pace, load.reference),
    ];
  });
}

async function measureSpread(hearth: Hearth, clients: Worker<StockClients>): Promise<Row[]> {
  const rows: Row[] = [];
  for (const { readers, reference } of spreads) {
    const place = await placeOf(hearth, `bench/stock-spread-${readers}`);
    const paces: Pace[] = [];
    await byTurns(rounds, [async () => {
      const pace = await clients.calls.spread({ place, readers, ms });
      paces.push(pace);
      return pace.perSecond;
    }]);
    const name = `stock fan-out, ${readers} readers`;
    const values = paces.map((it) => it.perSecond);
    rows.push(
      toRow({
        name,
        unit: "events/s",
        values,
        against: referenceOf("events/s", reference.perSecond, values),
      }),
      ...toTimes(`${name}, put to the last`, paces, reference),
    );
  }
  return rows;
}

async function measureGrowth(hearth: Hearth, clients: Worker<StockClients>): Promise<Row[]> {
  const many = await placeOf(hearth, "bench/stock-many");
  const few = await placeOf(hearth, "bench/stock-few");
  await clients.calls.fill({ place: many, metas: manyMetas });
  await clients.calls.fill({ place: few, metas: fewMetas });
  await clients.calls.open({ name: "many", places: [many] });
  await clients.calls.open({ name: "few", places: [few] });
  let bytes = 0;
  const [putsMany, putsFew] = await byTurns(putRounds, [
    () => clients.calls.putOnce({ name: "many" }),
    () => clients.calls.putOnce({ name: "few" }),
  ]);
  // By itself: what a large answer leaves to be collected would be the next put's.
  const [binds] = await byTurns(rounds, [async () => {
    const bound = await clients.calls.bindAnew(many);
    bytes = bound.bytes;
    return bound.ms;
  }]);
  const name = `stock bind by a new connection, ${manyMetas} metas`;
  return [
    toRow({
      name,
      unit: "ms",
      values: binds,
      against: {
        name: "what the client waits for an answer, ms",
        values: binds.map(() => patienceMs),
      },
      reach: { most: 1 },
    }),
    toRow({
      name: `${name}, its one answer`,
      unit: "kB",
      values: [bytes / 1000],
      against: { name: "reference backend at 4000 metas, kB", values: [2000] },
    }),
    toRow({
      name: `stock put, ${manyMetas} metas in the ledger`,
      unit: "ms",
      values: putsMany,
      against: { name: `${fewMetas} metas, ms`, values: putsFew },
    }),
  ];
}

async function measureAttach(hearth: Hearth, clients: Worker<StockClients>): Promise<Row[]> {
  const first: number[] = [];
  const again: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const place = await placeOf(hearth, `bench/stock-attach-${round}`);
    first.push(await clients.calls.attach({ place, cars: historyCars }));
    again.push(await clients.calls.attach({ place, cars: historyCars }));
  }
  return [toRow({
    name: "stock re-attach, 300 commits",
    unit: "ms",
    values: again,
    against: { name: "its first attach, which stores them, ms", values: first },
  })];
}

async function placeOf(hearth: Hearth, ledger: string): Promise<StockPlace> {
  return { url: hearth.url, ledger, token: await hearth.stockToken(ledger) };
}

function toTimes(name: string, paces: readonly Pace[], reference: Pace): Row[] {
  return ([["p50", "p50Ms"], ["p99", "p99Ms"]] as const).map(([label, key]) => {
    const values = paces.map((pace) => pace[key]);
    return toRow({
      name: `${name}, ${label}`,
      unit: "ms",
      values,
      against: referenceOf(`${label}, ms`, reference[key], values),
    });
  });
}

/** A figure measured elsewhere, once. */
function referenceOf(what: string, value: number, values: readonly number[]) {
  return { name: `reference backend, ${what}`, values: values.map(() => value) };
}

function nameOf({ clients, ledgers }: Load): string {
  const plural = (count: number) => count === 1 ? "" : "s";
  return `stock puts, ${clients} client${plural(clients)}, ${ledgers} ledger${plural(ledgers)}`;
}
