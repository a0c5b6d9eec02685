/** Where the time of one commit goes, from a client's call to another client's callback. */

import { openTestDatabases } from "../../tests/harness/postgres_server.ts";
import { makeFolder } from "../harness/folders.ts";
import { type Moment, type Passage, stages } from "../harness/moments.ts";
import { type Measured, type Part, type Row, toPart, toRow } from "../harness/row.ts";
import { byTurns, type Measure, median } from "../harness/statistics.ts";
import { startWorker } from "../harness/worker.ts";
import type { PostgresInserts } from "../workers/postgres_inserts.ts";
import type { SqliteInserts } from "../workers/sqlite_inserts.ts";
import type { Stages } from "../workers/stages.ts";

const crowd = 32;
const rounds = 12;
/** Of one writer alone, in a round. */
const commits = 25;
/** Of each writer of the crowd, in a round. */
const crowdCommits = 5;
const echoes = 25;
const bareMs = 50;
/** Of each writer, before what counts. */
const warmUps = 300;
const warmUpRounds = 4;

/** Measures these rows. */
export async function measureStages(): Promise<Row[]> {
  await using databases = openTestDatabases();
  await using database = await databases.take();
  await using bareDatabase = await databases.take();
  await using sqlite = startWorker<SqliteInserts>(
    new URL("../workers/sqlite_inserts.ts", import.meta.url),
  );
  await using postgres = startWorker<PostgresInserts>(
    new URL("../workers/postgres_inserts.ts", import.meta.url),
  );
  await sqlite.calls.open({ folder: makeFolder() });
  await postgres.calls.open({ url: bareDatabase.url, connections: 1 });
  const rows = [
    ...await measureOn("SQLite", {
      bare: async () => 1e6 / await sqlite.calls.run({ ms: bareMs }),
    }),
    ...await measureOn("Postgres", {
      database: database.url,
      bare: async () => 1e6 / await postgres.calls.run({ ms: bareMs }),
    }),
  ];
  await postgres.calls.close();
  return rows;
}

/** A store, and what it is read against. */
interface StoreOptions {
  /** URL of a Postgres database. @default SQLite */
  readonly database?: string;
  /** The reference: microseconds of one durable insert of as many bytes. */
  readonly bare: Measure;
}

async function measureOn(store: string, { database, bare }: StoreOptions): Promise<Row[]> {
  await using worker = startWorker<Stages>(new URL("../workers/stages.ts", import.meta.url));
  const folder = makeFolder();
  await worker.calls.open({ folder, ...(database !== undefined && { database }), writers: crowd });
  const alone = new Timings(() => worker.calls.run({ writers: 1, commits }));
  const crowded = new Timings(() => worker.calls.run({ writers: crowd, commits: crowdCommits }));
  const exchange = async () => median(await worker.calls.echo({ count: echoes })) * 1000;
  await worker.calls.run({ writers: 1, commits: warmUps });
  await worker.calls.run({ writers: crowd, commits: warmUps });
  await byTurns(warmUpRounds, [bare, exchange]);
  const [aloneHeard, inserts, exchanges, crowdHeard] = await byTurns(rounds, [
    () => alone.measure(),
    bare,
    exchange,
    () => crowded.measure(),
  ]);

  const bareBoth = {
    name: "bare durable insert and bare ws round trip, µs",
    values: inserts.map((insert, round) => insert + (exchanges[round] ?? Number.NaN)),
  };
  const acknowledged = alone.medians("called", "acknowledged");
  const stored = alone.medians("begun", "stored");
  const row = (name: string, measured: Omit<Measured, "name" | "unit">) =>
    toRow({ name: `${store}: ${name}`, unit: "µs", ...measured });
  return [
    row("commit to callback elsewhere, 1 writer", {
      values: aloneHeard,
      against: bareBoth,
      parts: alone.parts(),
    }),
    row("commit to ack, 1 writer", { values: acknowledged, against: bareBoth }),
    row("its time in the database, 1 writer", {
      values: stored,
      against: { name: "bare durable insert, µs", values: inserts },
    }),
    row("its time elsewhere, 1 writer", {
      values: acknowledged.map((whole, round) => whole - (stored[round] ?? Number.NaN)),
      against: { name: "bare ws round trip, µs", values: exchanges },
    }),
    row(`commit to callback elsewhere, ${crowd} writers`, {
      values: crowdHeard,
      against: { name: "the same of 1 writer, µs", values: aloneHeard },
      parts: crowded.parts(),
    }),
  ];
}

/** The commits of one load, by round. */
class Timings {
  readonly #run: () => Promise<readonly Passage[]>;
  readonly #rounds: (readonly Passage[])[] = [];

  constructor(run: () => Promise<readonly Passage[]>) {
    this.#run = run;
  }

  /** Runs a round; gives the median of the whole way, in microseconds. */
  async measure(): Promise<number> {
    const passages = await this.#run();
    this.#rounds.push(passages);
    return median(timesOf(passages, "called", "heard"));
  }

  /** The median of each round between two moments, in microseconds. */
  medians(from: Moment, to: Moment): readonly number[] {
    return this.#rounds.map((passages) => median(timesOf(passages, from, to)));
  }

  /** The stages of all rounds' commits. */
  parts(): readonly Part[] {
    const passages = this.#rounds.flat();
    const whole = median(timesOf(passages, "called", "heard"));
    return stages.map(({ name, from, to }) => toPart(name, timesOf(passages, from, to), whole));
  }
}

function timesOf(passages: readonly Passage[], from: Moment, to: Moment): readonly number[] {
  return passages.map((it) => (it[to] - it[from]) * 1000);
}
