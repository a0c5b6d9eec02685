/** Two servers that tell each other over NATS against two that do so over Postgres. */

import { findNatsServer, startNatsServer } from "../../tests/harness/nats_server.ts";
import { openTestDatabases, type TestDatabases } from "../../tests/harness/postgres_server.ts";
import { startHearth } from "../harness/hearth.ts";
import { type Row, toRow } from "../harness/row.ts";
import { byTurns, percentile } from "../harness/statistics.ts";
import { startWorker } from "../harness/worker.ts";
import type { Outcome, PacedClients } from "../workers/paced_clients.ts";

const ledgerCount = 32;
const writersEach = 8;
const rounds = 5;
/** Commits per second. */
const rates = [10, 100, 1000, 3000];
const ms = 1000;
/** Of a low rate, so that it has commits to speak of. */
const slowMs = 2000;
const saturatedMs = 600;
const warmUpMs = 500;

/** Measures these rows. */
export async function measureBus(): Promise<Row[]> {
  if (findNatsServer() === undefined) {
    throw new Error("Cannot measure a bus over NATS: there is no nats-server on the PATH");
  }
  await using nats = await startNatsServer();
  await using databases = openTestDatabases();
  await using own = await startPair(databases, `nats://127.0.0.1:${nats.port}`);
  await using other = await startPair(databases);
  const rows: Row[] = [];
  for (const rate of rates) rows.push(...await measureRate(rate, own, other));
  const [values, otherValues] = await byTurns(
    rounds,
    [own, other].map(({ run }) => async () => (await run(saturatedMs)).rate),
  );
  rows.push(toRow({
    name: `bus over NATS: ${
      ledgerCount * writersEach
    } clients, ${ledgerCount} ledgers, until heard`,
    unit: "commits/s",
    values: values ?? [],
    against: { name: "bus over Postgres, commits/s", values: otherValues ?? [] },
  }));
  return rows;
}

async function measureRate(rate: number, own: Pair, other: Pair): Promise<Row[]> {
  const times: [number[], number[]] = [[], []];
  const measure = (pair: Pair, times: number[]) => async () => {
    const outcome = await pair.run(rate < 100 ? slowMs : ms, rate);
    times.push(...outcome.times);
    return percentile(outcome.times, 50);
  };
  const [values, otherValues] = await byTurns(rounds, [
    measure(own, times[0]),
    measure(other, times[1]),
  ]);
  const name = `bus over NATS: commit to callback on another server, ${rate}/s`;
  const against = "bus over Postgres";
  const [own99, other99] = times.map((all) => [percentile(all, 99)]);
  return [
    toRow({
      name: `${name}, p50`,
      unit: "ms",
      values,
      against: { name: `${against}, p50, ms`, values: otherValues },
    }),
    toRow({
      name: `${name}, p99`,
      unit: "ms",
      values: own99 ?? [],
      against: { name: `${against}, p99, ms`, values: other99 ?? [] },
    }),
  ];
}

/** Two servers on one database; clients write to the one and watch on the other. */
interface Pair extends AsyncDisposable {
  /** Writes for so long, so many commits a second; as fast as it goes without a rate. */
  run(ms: number, rate?: number): Promise<Outcome>;
}

async function startPair(databases: TestDatabases, bus?: string): Promise<Pair> {
  await using opened = new AsyncDisposableStack();
  const database = opened.use(await databases.take()).url;
  const options = { database, ...(bus !== undefined && { bus }) };
  const first = opened.use(await startHearth(options));
  const second = opened.use(await startHearth(options));
  const { calls } = opened.use(
    startWorker<PacedClients>(new URL("../workers/paced_clients.ts", import.meta.url)),
  );
  const places = await Promise.all(Array.from({ length: ledgerCount }, async (_, at) => {
    const ledger = `bench/bus-${at}`;
    return { ledger, token: await first.token(ledger) };
  }));
  await calls.open({ writeUrl: first.url, watchUrl: second.url, places, writersEach });
  await calls.run({ ms: warmUpMs });
  const kept = opened.move();
  return {
    run: (ms, rate) => calls.run({ ms, ...(rate !== undefined && { rate }) }),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
