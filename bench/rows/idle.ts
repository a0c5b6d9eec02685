/** Memory of the server per idle, authenticated, watching connection against a bare `ws` server. */

import { kibibytesEach, warmUpCount } from "../harness/connection_memory.ts";
import { startHearth } from "../harness/hearth.ts";
import { type Row, toRow } from "../harness/row.ts";
import { byTurns } from "../harness/statistics.ts";
import { startWorker } from "../harness/worker.ts";
import type { BroadcastServer } from "../workers/broadcast_server.ts";
import type { Crowd, IdleSockets } from "../workers/idle_sockets.ts";

const ledgerCount = 200;
const count = 2000;
const rounds = 3;

/** Measures this row. */
export async function measureIdle(): Promise<Row[]> {
  const [own, bare] = await byTurns(rounds, [measureHearth, measureBare]);
  return [toRow({
    name: `memory per idle connection, ${count} connections, ${ledgerCount} ledgers`,
    unit: "KiB",
    values: own,
    against: { name: "bare ws server, KiB", values: bare },
    reach: { most: 2 },
  })];
}

async function measureHearth(): Promise<number> {
  await using hearth = await startHearth();
  // Each connection has a token of its own, as devices have.
  const places = await Promise.all(Array.from({ length: warmUpCount + count }, async (_, at) => {
    const ledger = `bench/idle-${at % ledgerCount}`;
    return { ledger, token: await hearth.token(ledger) };
  }));
  return await measure(hearth.pid, (from, to) => ({
    url: hearth.url,
    count: to - from,
    places: places.slice(from, to),
  }));
}

async function measureBare(): Promise<number> {
  await using bare = startWorker<BroadcastServer>(
    new URL("../workers/broadcast_server.ts", import.meta.url),
  );
  const url = await bare.calls.listen();
  return await measure(bare.pid, (from, to) => ({ url, count: to - from }));
}

/** Fresh processes each time: what one round leaves behind must not help the next. */
async function measure(pid: number, crowd: (from: number, to: number) => Crowd): Promise<number> {
  await using clients = startWorker<IdleSockets>(
    new URL("../workers/idle_sockets.ts", import.meta.url),
  );
  return await kibibytesEach({ pid, count, crowd, open: clients.calls.open });
}
