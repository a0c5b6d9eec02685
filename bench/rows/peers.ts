/** Updates and deliveries per second beside the servers that users of Yjs run. */

import { pause, systemClock } from "../../src/base/clock.ts";
import { type Hearth, startHearth } from "../harness/hearth.ts";
import type { PeerKind } from "../harness/peer_client.ts";
import { type PeerServer, startPeer } from "../harness/peer_server.ts";
import { type Row, toRow } from "../harness/row.ts";
import { byTurns } from "../harness/statistics.ts";
import { startWorker, type Worker } from "../harness/worker.ts";
import type { CommitClients, Group } from "../workers/commit_clients.ts";
import type { Watchers } from "../workers/watchers.ts";

const clientCounts = [1, 8, 32];
/** A peer's message with so much content has about 350 bytes; Hearth's, with its CIDs, about 600. */
const sizes = { metaBytes: 320 };
const watchers = 1000;
const writers = 16;
const rounds = 7;
const updatesMs = 250;
const fanOutMs = 600;
/** What y-websocket has passed on it writes to its store for about as long again: not in others' turns. */
const settleMs = 400;
const reach = { least: 1 };

/** The servers, of which each is at work by turns. */
interface Servers {
  readonly hearth: Hearth;
  readonly peers: Readonly<Record<PeerKind, PeerServer>>;
}

/** Measures these rows. */
export async function measurePeers(): Promise<Row[]> {
  await using hocuspocus = await startPeer("hocuspocus");
  await using yWebsocket = await startPeer("y-websocket");
  await using hearth = await startHearth();
  const servers = { hearth, peers: { hocuspocus, "y-websocket": yWebsocket } };
  return [...await measureUpdates(servers), ...await measureFanOut(servers)];
}

async function measureUpdates({ hearth, peers }: Servers): Promise<Row[]> {
  await using worker = startWorker<CommitClients>(
    new URL("../workers/commit_clients.ts", import.meta.url),
  );
  const measure = async (group: Omit<Group, "name" | "sizes" | "clients">, count: number) => {
    const name = `${group.via}, ${count} clients${group.heard ? ", heard" : ""}`;
    const ledger = `bench/${name.replaceAll(/\W+/g, "-")}`;
    const place = { ledger, token: await hearth.token(ledger) };
    const clients = Array.from({ length: count }, () => place);
    await worker.calls.open({ ...group, name, sizes, clients });
    const run = async () => {
      const rate = await worker.calls.run({ name, ms: updatesMs });
      if (group.via === "y-websocket") await pause(systemClock, settleMs);
      return rate;
    };
    await run(); // Warms up.
    return run;
  };
  const rows: Row[] = [];
  for (const count of clientCounts) {
    const own = { url: hearth.url, via: "websocket", watching: true } as const;
    const [acknowledged, hocuspocus, heard, yWebsocket] = await byTurns(rounds, [
      await measure(own, count),
      await measure({ url: peers.hocuspocus.url, via: "hocuspocus" }, count),
      await measure({ ...own, heard: true }, count),
      await measure({ url: peers["y-websocket"].url, via: "y-websocket", heard: true }, count),
    ]);
    const name = `fsynced updates, ${count} client${count === 1 ? "" : "s"}`;
    const unit = "updates/s";
    rows.push(
      toRow({
        name: `${name}, acknowledged`,
        unit,
        values: acknowledged,
        against: {
          name: "Hocuspocus 4.7, acknowledged, not fsynced, updates/s",
          values: hocuspocus,
        },
        reach,
      }),
      toRow({
        name: `${name}, acknowledged and heard`,
        unit,
        values: heard,
        against: { name: "y-websocket 2.0, heard, not fsynced, updates/s", values: yWebsocket },
        reach,
      }),
    );
  }
  return rows;
}

async function measureFanOut({ hearth, peers }: Servers): Promise<Row[]> {
  const script = new URL("../workers/watchers.ts", import.meta.url);
  await using own = startWorker<Watchers>(script);
  await using hocuspocus = startWorker<Watchers>(script);
  await using yWebsocket = startWorker<Watchers>(script);
  const ledger = "bench/fan-out";
  const size = { watchers, writers };
  const token = await hearth.token(ledger);
  await own.calls.open({ kind: "hearth", url: hearth.url, ledger, token, ...size });
  for (const [kind, worker] of [["hocuspocus", hocuspocus], ["y-websocket", yWebsocket]] as const) {
    await worker.calls.open({ kind, url: peers[kind].url, document: ledger, ...size });
  }
  const run = ({ calls }: Worker<Watchers>) => () => calls.run({ writers, ms: fanOutMs });
  const measures = [run(own), run(hocuspocus), run(yWebsocket)] as const;
  await byTurns(1, measures); // Warms up.
  const [values, ...others] = await byTurns(rounds, measures);
  return ["Hocuspocus 4.7", "y-websocket 2.0"].map((peer, at) =>
    toRow({
      name: `fsynced fan-out, ${watchers} watchers, ${writers} in flight, beside ${peer}`,
      unit: "deliveries/s",
      values,
      against: { name: `${peer}, not fsynced, deliveries/s`, values: others[at] ?? [] },
      reach,
    })
  );
}
