/** The servers of others that Hearth is measured beside, as their operators start them. */

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { startChild } from "../../tests/harness/child.ts";
import { eventually } from "../../tests/harness/eventually.ts";
import { freePort } from "../../tests/harness/ports.ts";
import { findRuntime } from "../../tests/harness/runtimes.ts";
import { makeFolder } from "./folders.ts";
import type { PeerKind } from "./peer_client.ts";

/** A running server of a peer. */
export interface PeerServer extends AsyncDisposable {
  readonly url: string;
}

const folder = new URL("../peers/", import.meta.url);
const startMs = 30_000;

/** Where each is, below the folder of their packages. */
const scripts: Readonly<Record<PeerKind, string>> = {
  "hocuspocus": "hocuspocus_server.ts",
  "y-websocket": "node_modules/y-websocket/bin/server.cjs",
};

/** Starts a server on Node, which is what its authors run it on, and waits until it answers. */
export async function startPeer(kind: PeerKind): Promise<PeerServer> {
  if (!existsSync(new URL("node_modules", folder))) {
    throw new Error("Cannot start a peer: its packages are missing; `npm ci --prefix bench/peers`");
  }
  const node = findRuntime("node");
  if (!node) throw new Error("Cannot start a peer: it needs Node 24 or newer on the PATH");
  const port = await freePort();
  const data = makeFolder();
  const child = startChild(node.command, [fileURLToPath(new URL(scripts[kind], folder))], {
    // The last one is y-websocket's: where its y-leveldb keeps documents.
    env: { HOST: "127.0.0.1", PORT: String(port), DATA: data, YPERSISTENCE: data },
  });
  let ended = false;
  const end = () => void (ended = true);
  child.ended.then(end, end);
  const url = `http://127.0.0.1:${port}`;
  await eventually(async () => {
    if (!ended) await fetch(url).then((answer) => answer.body?.cancel());
  }, { timeoutMs: startMs, everyMs: 50 });
  if (ended) throw new Error(`${kind} ended at its start:\n${child.lines.join("\n")}`);
  return {
    url,
    [Symbol.asyncDispose]: async () => {
      await child.end("SIGKILL");
    },
  };
}
