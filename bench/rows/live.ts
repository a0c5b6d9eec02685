/** From a put in one real Fireproof database to the callback in another, in processes of their own. */

import { type Hearth, startHearth } from "../harness/hearth.ts";
import { type Row, toRow } from "../harness/row.ts";
import { byTurns, median, percentile } from "../harness/statistics.ts";
import { type Remote, startWorker } from "../harness/worker.ts";
import type { FireproofDevice } from "../workers/fireproof_device.ts";
import type { NoticePair } from "../workers/notice.ts";

type Device = Remote<FireproofDevice>;

const rounds = 8;
const puts = 25;
const warmUps = 10;

/** Measures these rows. */
export async function measureLive(): Promise<Row[]> {
  // Requests are counted by the server's log; a line each is little beside what is measured.
  await using hearth = await startHearth({ log: "debug" });
  const script = new URL("../workers/fireproof_device.ts", import.meta.url);
  await using a = startWorker<FireproofDevice>(script);
  await using b = startWorker<FireproofDevice>(script);
  await using raw = startWorker<NoticePair>(new URL("../workers/notice.ts", import.meta.url));
  const place = await placeOf(hearth, "bench/live");
  await Promise.all([a, b].map(({ calls }, at) => calls.open({ ...place, name: `device-${at}` })));
  await raw.calls.open(await placeOf(hearth, "bench/notice"));
  await measurePuts(a.calls, b.calls, warmUps);
  await raw.calls.run({ count: warmUps });

  const putTimes: number[] = [];
  const noticeTimes: number[] = [];
  const requests: number[] = [];
  const [own, notices] = await byTurns(rounds, [
    async () => {
      hearth.countRequests();
      const times = await measurePuts(a.calls, b.calls, puts);
      await a.calls.flush();
      const counts = Object.values(hearth.countRequests());
      requests.push(counts.reduce((sum, count) => sum + count, 0) / puts);
      putTimes.push(...times);
      return median(times);
    },
    async () => {
      const times = await raw.calls.run({ count: puts });
      noticeTimes.push(...times);
      return median(times);
    },
  ]);
  const name = "raw commit to notification";
  return [
    toRow({
      name: "Fireproof put to callback elsewhere, p50",
      unit: "ms",
      values: own,
      against: { name: `${name}, p50, ms`, values: notices },
    }),
    toRow({
      name: "Fireproof put to callback elsewhere, p99",
      unit: "ms",
      values: [percentile(putTimes, 99)],
      against: { name: `${name}, p99, ms`, values: [percentile(noticeTimes, 99)] },
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

async function placeOf(hearth: Hearth, ledger: string) {
  return { url: hearth.url, ledger, token: await hearth.token(ledger) };
}

let putCount = 0;

async function measurePuts(from: Device, to: Device, count: number): Promise<number[]> {
  const times: number[] = [];
  while (times.length < count) {
    const id = `doc-${++putCount}`;
    const [start, heard] = await Promise.all([from.put({ id }), to.heard({ id })]);
    times.push(heard - start);
  }
  return times;
}
