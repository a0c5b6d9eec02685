/** Compaction while others write: Fireproof's own would drop what came in between. */

import { test } from "node:test";
import { assertEquals } from "#assert";
import { type Device, diskPlace, startDevice } from "../harness/device.ts";
import { startServer } from "../harness/server_process.ts";
import { makeTempFolder } from "../harness/temp_folder.ts";
import { docsOf, have, idsOf, join, long } from "./scene.ts";

test("a compaction amid writes and merges keeps both devices whole", long, async () => {
  await using server = await startServer();
  await using folder = await makeTempFolder();
  const places = {
    writer: diskPlace(`${folder.path}/writer`),
    compactor: diskPlace(`${folder.path}/compactor`),
  };
  const ids = { writer: idsOf("w", 40), compactor: idsOf("c", 15) };
  {
    await using writer = await startDevice(places.writer);
    await using compactor = await startDevice(places.compactor);
    await join(server, [writer, compactor]);
    const writing = Promise.all([
      writer.put({ docs: docsOf(...ids.writer) }),
      compactor.put({ docs: docsOf(...ids.compactor) }),
    ]);
    await compactUntil(compactor, writing);
    await have([writer, compactor], [...ids.writer, ...ids.compactor]);
    await Promise.all([writer.flush(), compactor.flush()]);
  }
  // Alone: what the devices lack must not be made up for by the server.
  for (const name of ["writer", "compactor"] as const) {
    await using device = await startDevice(places[name]);
    const found = await device.docs();
    assertEquals(ids[name].filter((id) => !(id in found)), []);
  }
});

async function compactUntil(device: Device, done: Promise<unknown>): Promise<void> {
  let going = true;
  const stop = () => {
    going = false;
  };
  void done.then(stop, stop);
  while (going) {
    await device.compact();
    // Compactions one right after the other would leave the writes no room.
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await done;
}
