/** Ten thousand connections that one server holds: their memory, their lives, and who hears. */

import { pause, systemClock } from "../../src/base/clock.ts";
import { kibibytesEach, warmUpCount } from "../harness/connection_memory.ts";
import { type Hearth, startHearth } from "../harness/hearth.ts";
import { requireOpenFiles } from "../harness/open_files.ts";
import { encodeCall, openSocket } from "../harness/raw_client.ts";
import { type Row, toRow } from "../harness/row.ts";
import { createCommits, smallPut } from "../harness/samples.ts";
import { byTurns } from "../harness/statistics.ts";
import { startWorker } from "../harness/worker.ts";
import type { BroadcastServer } from "../workers/broadcast_server.ts";
import type { Crowd, Heard, IdleSockets } from "../workers/idle_sockets.ts";

const count = 10_000;
const rounds = 3;
const all = warmUpCount + count;
/** Sockets are shared out, so that one client's processor time is not what is waited for. */
const clientProcesses = 4;
/** Files of a server that are no connections. */
const otherFiles = 100;
/** Long enough for a heartbeat on each connection, and for its loss where none is answered. */
const heldMs = 20_000;
/** Time that a commit has to reach all. */
const heardMs = 10_000;
/** Pause between two looks at who was told. */
const lookMs = 50;
const ledger = "bench/held";

/** Measures these rows. */
export async function measureHeld(): Promise<Row[]> {
  requireOpenFiles(all + otherFiles);
  const [own, bare] = await byTurns(rounds, [measureHearth, measureBare]);
  const { pinged, told } = await hold();
  const against = { name: "watching connections", values: [all] };
  return [
    toRow({
      name: `memory per held connection, ${count} connections`,
      unit: "KiB",
      values: own,
      against: { name: "bare ws server, KiB", values: bare },
      reach: { most: 2 },
    }),
    toRow({
      name: `connections held for ${heldMs / 1000} s, over heartbeats`,
      unit: "connections",
      values: [pinged],
      against,
      reach: { least: 1 },
    }),
    toRow({
      name: "watchers that a commit then reaches",
      unit: "watchers",
      values: [told],
      against,
      reach: { least: 1 },
    }),
  ];
}

async function measureHearth(): Promise<number> {
  await using hearth = await startHearth();
  await using clients = startClients();
  const crowd = await createCrowd(hearth);
  return await kibibytesEach({ pid: hearth.pid, count, crowd, open: clients.open });
}

async function hold(): Promise<Heard> {
  await using hearth = await startHearth();
  await using clients = startClients();
  const crowd = await createCrowd(hearth);
  await clients.open(crowd(0, all));
  await pause(systemClock, heldMs);
  const { pinged } = await clients.heard();
  const writer = await openSocket({ url: hearth.url, token: await hearth.token(ledger) });
  await writer.exchange(encodeCall("commit", createCommits(ledger, smallPut)()));
  const told = await clients.toldOf(all);
  writer.close();
  return { pinged, told };
}

/** Each connection has a token of its own, as devices have. */
async function createCrowd({ url, token }: Hearth): Promise<(from: number, to: number) => Crowd> {
  const places = await Promise.all(
    Array.from({ length: all }, async () => ({ ledger, token: await token(ledger) })),
  );
  return (from, to) => ({ url, count: to - from, places: places.slice(from, to) });
}

async function measureBare(): Promise<number> {
  await using bare = startWorker<BroadcastServer>(
    new URL("../workers/broadcast_server.ts", import.meta.url),
  );
  await using clients = startClients();
  const url = await bare.calls.listen();
  const crowd = (from: number, to: number): Crowd => ({ url, count: to - from });
  return await kibibytesEach({ pid: bare.pid, count, crowd, open: clients.open });
}

/** Several client processes that look like one. */
interface Clients extends AsyncDisposable {
  open(crowd: Crowd): Promise<void>;
  heard(): Promise<Heard>;
  /** Waits until so many were told of a commit, a bounded time; gives how many were. */
  toldOf(wanted: number): Promise<number>;
}

function startClients(): Clients {
  const script = new URL("../workers/idle_sockets.ts", import.meta.url);
  const workers = Array.from({ length: clientProcesses }, () => startWorker<IdleSockets>(script));
  const heard = async (): Promise<Heard> => {
    const each = await Promise.all(workers.map(({ calls }) => calls.heard()));
    return {
      pinged: each.reduce((sum, { pinged }) => sum + pinged, 0),
      told: each.reduce((sum, { told }) => sum + told, 0),
    };
  };
  return {
    heard,
    open: async ({ url, count, places = [] }) => {
      const share = Math.ceil(count / clientProcesses);
      await Promise.all(workers.map(({ calls }, at) => {
        const from = at * share;
        const to = Math.min(from + share, count);
        return calls.open({ url, count: to - from, places: places.slice(from, to) });
      }));
    },
    toldOf: async (wanted) => {
      const deadline = performance.now() + heardMs;
      while (true) {
        const { told } = await heard();
        if (told >= wanted || performance.now() > deadline) return told;
        await pause(systemClock, lookMs);
      }
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(workers.map((it) => it[Symbol.asyncDispose]()));
    },
  };
}
