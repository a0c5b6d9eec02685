/** A reader that comes late: all of a ledger's heads and blobs against one GET of as many bytes. */

import { startHearth } from "../harness/hearth.ts";
import { type Row, toRow } from "../harness/row.ts";
import { byTurns } from "../harness/statistics.ts";
import { startWorker } from "../harness/worker.ts";
import type { ByteServer } from "../workers/byte_server.ts";
import type { Reader } from "../workers/reader.ts";

const commits = 300;
const blobBytes = 2048;
const rounds = 31;
const warmUps = 5;

/** Measures these rows. */
export async function measureFreshReader(): Promise<Row[]> {
  // Requests are counted by the server's log; a line each is little beside what is measured.
  await using hearth = await startHearth({ log: "debug" });
  await using bare = startWorker<ByteServer>(
    new URL("../workers/byte_server.ts", import.meta.url),
  );
  await using reader = startWorker<Reader>(new URL("../workers/reader.ts", import.meta.url));
  const ledger = "bench/fresh";
  const place = { url: hearth.url, ledger, token: await hearth.token(ledger), blobs: commits };
  await reader.calls.fill({ ...place, commits, blobBytes });
  const url = await bare.calls.listen({ bytes: commits * blobBytes });
  let elsewhere: number[] = [];
  const measures = [async () => {
    const { ms, cpuMs } = await reader.calls.read(place);
    elsewhere.push(ms - cpuMs);
    return ms;
  }, () => reader.calls.get({ url })] as const;
  await byTurns(warmUps, measures);
  elsewhere = [];
  hearth.countRequests();
  const [own, get] = await byTurns(rounds, measures);
  const { hello, ...counts } = hearth.countRequests();
  const trips = Object.values(counts).reduce((sum, count) => sum + count, 0) / (hello ?? rounds);
  const name = `fresh reader, ${commits} commits of ${blobBytes / 1024} KiB`;
  const against = { name: "bare HTTP GET of the same bytes, ms", values: get };
  return [
    toRow({ name, unit: "ms", values: own, against }),
    toRow({
      name: `${name}, without the client's own processor time`,
      unit: "ms",
      values: elsewhere,
      against,
      reach: { most: 2 },
    }),
    toRow({
      name: "fresh reader, round trips after hello",
      unit: "round trips",
      values: [trips],
      against: { name: "bare HTTP GET, round trips", values: [1] },
      reach: { most: 2 },
    }),
  ];
}
