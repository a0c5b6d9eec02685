/** From a put in one real Fireproof database to the callback in another, in processes of their own. */

import { type Hearth, startHearth } from "../harness/hearth.ts";
import { type Row, toRow } from "../harness/row.ts";
import { byTurns, median, percentile } from "../harness/statistics.ts";
import { startWorker, type Worker } from "../harness/worker.ts";
import type { BroadcastServer } from "../workers/broadcast_server.ts";
import type { Attached, FireproofDevice } from "../workers/fireproof_device.ts";
import type { NoticePair } from "../workers/notice.ts";

const rounds = 8;
const puts = 25;
const warmUps = 10;

/** Measures these rows. */
export async function measureLive(): Promise<Row[]> {
  // Requests are counted by the server's log; a line each is little beside what is measured.
  await using hearth = await startHearth({ log: "debug" });
  await using relay = startWorker<BroadcastServer>(
    new URL("../workers/broadcast_server.ts", import.meta.url),
  );
  await using raw = startWorker<NoticePair>(new URL("../workers/notice.ts", import.meta.url));
  await using own = await openPair({ kind: "hearth", place: await placeOf(hearth, "bench/live") });
  await using bare = await openPair({ kind: "relay", url: await relay.calls.listen() });
  await raw.calls.open(await placeOf(hearth, "bench/notice"));
  for (const { measure } of [own, bare]) await measure(warmUps);
  await raw.calls.run({ count: warmUps });

  const ownTimes: number[] = [];
  const bareTimes: number[] = [];
  const requests: number[] = [];
  const [ownMedians, bareMedians, notices] = await byTurns(rounds, [
    async () => {
      hearth.countRequests();
      const times = await own.measure(puts);
      await own.writer.calls.flush();
      const counts = Object.values(hearth.countRequests());
      requests.push(counts.reduce((sum, count) => sum + count, 0) / puts);
      ownTimes.push(...times);
      return median(times);
    },
    async () => {
      const times = await bare.measure(puts);
      bareTimes.push(...times);
      return median(times);
    },
    async () => median(await raw.calls.run({ count: puts })),
  ]);
  const name = "Fireproof put to callback elsewhere";
  const against = "the same over a bare relay";
  return [
    toRow({
      name: `${name}, p50`,
      unit: "ms",
      values: ownMedians,
      against: { name: `${against}, p50, ms`, values: bareMedians },
      reach: { most: 1.3 },
    }),
    toRow({
      name: `${name}, p99`,
      unit: "ms",
      values: [percentile(ownTimes, 99)],
      against: { name: `${against}, p99, ms`, values: [percentile(bareTimes, 99)] },
    }),
    toRow({
      name: "raw commit to notification, p50",
      unit: "ms",
      values: notices,
      against: { name: `${name}, p50, ms`, values: ownMedians },
    }),
    toRow({
      name: "requests per Fireproof put, of writer and reader",
      unit: "round trips",
      values: requests,
      against: { name: "one frame up, one ack down, round trips", values: requests.map(() => 1) },
      reach: { most: 1 },
    }),
  ];
}

/** Two devices, of which one writes and the other hears. */
interface Pair extends AsyncDisposable {
  readonly writer: Worker<FireproofDevice>;
  /** Puts so often, each when the last one was heard; gives the milliseconds of each. */
  measure(count: number): Promise<number[]>;
}

async function openPair(attached: Attached): Promise<Pair> {
  const script = new URL("../workers/fireproof_device.ts", import.meta.url);
  const writer = startWorker<FireproofDevice>(script);
  const reader = startWorker<FireproofDevice>(script);
  await Promise.all([
    writer.calls.open({ name: "writer", attached }),
    reader.calls.open({ name: "reader", attached }),
  ]);
  for (const { calls } of [writer, reader]) await calls.attach();
  // Fireproof says nothing of the first content that a database takes from elsewhere. And both must
  // have all that the other has: two heads that are never joined make each put dearer than the last.
  await writer.calls.put({ id: "first of the writer" });
  await reader.calls.put({ id: "first of the reader" });
  await writer.calls.heard({ id: "first of the reader" });
  let putCount = 0;
  return {
    writer,
    measure: async (count) => {
      const times: number[] = [];
      while (times.length < count) {
        const id = `doc-${++putCount}`;
        const [start, heard] = await Promise.all([
          writer.calls.put({ id }),
          reader.calls.heard({ id }),
        ]);
        times.push(heard - start);
      }
      return times;
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all([writer, reader].map((it) => it[Symbol.asyncDispose]()));
    },
  };
}

async function placeOf(hearth: Hearth, ledger: string) {
  return { url: hearth.url, ledger, token: await hearth.token(ledger) };
}
