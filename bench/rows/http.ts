/** Durable commits over HTTP against the same commits over WebSocket. */

import { startHearth } from "../harness/hearth.ts";
import { type Row, toRow } from "../harness/row.ts";
import { byTurns } from "../harness/statistics.ts";
import { startWorker } from "../harness/worker.ts";
import type { CommitClients } from "../workers/commit_clients.ts";

const clientCount = 32;
const rounds = 9;
const ms = 500;

/** Measures this row. */
export async function measureHttp(): Promise<Row[]> {
  await using hearth = await startHearth();
  await using worker = startWorker<CommitClients>(
    new URL("../workers/commit_clients.ts", import.meta.url),
  );
  for (const via of ["websocket", "http"] as const) {
    const ledger = `bench/${via}`;
    const token = await hearth.token(ledger);
    const clients = Array.from({ length: clientCount }, () => ({ ledger, token }));
    await worker.calls.open({ name: via, url: hearth.url, via, clients });
    await worker.calls.run({ name: via, ms }); // Warms up.
  }
  const [http, websocket] = await byTurns(rounds, [
    () => worker.calls.run({ name: "http", ms }),
    () => worker.calls.run({ name: "websocket", ms }),
  ]);
  return [toRow({
    name: `commits over HTTP, ${clientCount} clients, 1 ledger`,
    unit: "commits/s",
    values: http,
    against: { name: "the same over WebSocket, commits/s", values: websocket },
    reach: { least: 0.4 },
  })];
}
