/** Devices that were apart for long: each compacts more than once before it sends what it wrote. */

import { test } from "node:test";
import { assert, assertEquals } from "#assert";
import { type Client, connect, type FetchedBlob } from "../../src/client/mod.ts";
import type { BlobRef } from "../../src/protocol/model.ts";
import { type Device, diskPlace, startDevice } from "../harness/device.ts";
import { eventually } from "../harness/eventually.ts";
import { countRequests } from "../harness/request_count.ts";
import { type ServerProcess, startServer } from "../harness/server_process.ts";
import { makeTempFolder } from "../harness/temp_folder.ts";
import { docsOf, have, headsOf, idsOf, join, ledger, long, reach } from "./scene.ts";

const ids = { common: idsOf("common", 30), a: idsOf("a", 120), b: idsOf("b", 120) };
const all = [...ids.common, ...ids.a, ...ids.b];

test(
  "devices that compacted twice apart are merged by fresh readers and by themselves",
  long,
  async () => {
    await using server = await startServer();
    await using folder = await makeTempFolder();
    await writeApart(server, folder.path);
    const before = server.log.length;
    await using reader = await startDevice();
    await join(server, [reader], { right: "read" });
    await have([reader], all);
    await reach([reader], "synced");
    const { listBlobs = 0 } = countRequests(server.log.slice(before));
    assertEquals(listBlobs, 1, "Expected to search for what no trail leads to");
    for (const name of ["a", "b"] as const) {
      await using device = await startDevice(diskPlace(`${folder.path}/${name}`));
      await join(server, [device]);
      await have([device], all);
      await reach([device], "synced");
    }
  },
);

/** Two devices on one state go offline, write and compact, send, and are gone before they merge. */
async function writeApart(server: ServerProcess, folder: string): Promise<void> {
  const token = await server.token(ledger);
  await using a = await startDevice(diskPlace(`${folder}/a`));
  await using b = await startDevice(diskPlace(`${folder}/b`));
  await join(server, [a, b], { token });
  await a.put({ docs: docsOf(...ids.common) });
  await have([a, b], ids.common);
  await Promise.all([a.flush(), b.flush()]);
  await server.stop();
  await Promise.all([writeAndCompact(a, ids.a), writeAndCompact(b, ids.b)]);
  await server.start();
  await Promise.all([a, b].map(async (device) => {
    await device.flush();
    await device.kill();
  }));
}

async function writeAndCompact(device: Device, ids: readonly string[]): Promise<void> {
  const half = ids.length / 2;
  for (const part of [ids.slice(0, half), ids.slice(half)]) {
    await device.put({ docs: docsOf(...part) });
    await device.compact();
  }
}

const torn = "acme/torn";

test("what is nowhere is searched for once, and stays until it is found", long, async () => {
  await using server = await startServer();
  await using folder = await makeTempFolder();
  await writeApart(server, folder.path);
  await using from = connect({ url: server.url, token: await server.token(ledger) });
  await using to = connect({ url: server.url, token: await server.token(torn) });
  const { metas, keys, inventory = [] } = await headsOf(from, ledger);
  assertEquals(metas.length, 2);
  await to.commit({ ledger: torn, metas, keys, blobs: await blobsOf(from, inventory) });

  const before = server.log.length;
  const counts = () => countRequests(server.log.slice(before));
  const later = idsOf("later", 5);
  await using device = await startDevice();
  await join(server, [device], { ledger: torn });
  await reach([device], "stale");
  assertEquals(counts().listBlobs, 1);
  // Each try asks for the car that was never sent.
  const { getBlobs = 0 } = counts();
  await eventually(() => assert((counts().getBlobs ?? 0) >= getBlobs + 2, "Expected more tries"));
  await device.put({ docs: docsOf(...later) });
  await device.compact();
  await device.flush();
  assertEquals(counts().listBlobs, 1);

  for await (const page of from.listBlobs(ledger, "car")) {
    await to.commit({ ledger: torn, blobs: await blobsOf(from, page) });
  }
  await using fresh = await startDevice();
  await join(server, [fresh], { ledger: torn });
  await have([fresh], [...all, ...later]);
});

async function blobsOf(client: Client, refs: readonly BlobRef[]): Promise<FetchedBlob[]> {
  const blobs: FetchedBlob[] = [];
  await client.getBlobs(ledger, refs, (blob) => void blobs.push(blob));
  return blobs;
}
