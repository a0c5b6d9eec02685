/** Commits to a ledger that a thousand watch against a bare broadcast of the same bytes. */

import { startHearth } from "../harness/hearth.ts";
import { type Row, toRow } from "../harness/row.ts";
import { byTurns } from "../harness/statistics.ts";
import { startWorker } from "../harness/worker.ts";
import type { BroadcastServer } from "../workers/broadcast_server.ts";
import type { Watchers } from "../workers/watchers.ts";

const watchers = 1000;
const most = 16;
const rounds = 9;
const ms = 600;

/** Measures these rows. */
export async function measureFanOut(): Promise<Row[]> {
  await using hearth = await startHearth();
  await using bareServer = startWorker<BroadcastServer>(
    new URL("../workers/broadcast_server.ts", import.meta.url),
  );
  const script = new URL("../workers/watchers.ts", import.meta.url);
  await using own = startWorker<Watchers>(script);
  await using bare = startWorker<Watchers>(script);

  const ledger = "bench/fan-out";
  const token = await hearth.token(ledger);
  const size = { watchers, writers: most };
  await own.calls.open({ kind: "hearth", url: hearth.url, ledger, token, ...size });
  const payload = await own.calls.sample();
  const url = await bareServer.calls.listen();
  await bare.calls.open({ kind: "bare", url, payload, ...size });

  const single = { writers: 1, ms };
  const several = { writers: most, ms };
  await Promise.all([own, bare].map(({ calls }) => calls.run(several))); // Warms up.
  const [ownSingle, bareSingle, ownSeveral, bareSeveral] = await byTurns(rounds, [
    () => own.calls.run(single),
    () => bare.calls.run(single),
    () => own.calls.run(several),
    () => bare.calls.run(several),
  ]);
  const unit = "deliveries/s";
  const reach = { least: 0.9 };
  const name = "bare ws broadcast, deliveries/s";
  return [
    toRow({
      name: `fan-out, ${watchers} watchers, 1 commit in flight`,
      unit,
      values: ownSingle,
      against: { name, values: bareSingle },
      reach,
    }),
    toRow({
      name: `fan-out, ${watchers} watchers, ${most} commits in flight`,
      unit,
      values: ownSeveral,
      against: { name, values: bareSeveral },
      reach,
    }),
  ];
}
