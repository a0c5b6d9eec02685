/** Devices that only read: they keep what they have read, and need no right to do so. */

import { cp } from "node:fs/promises";
import { test } from "node:test";
import { assertEquals } from "#assert";
import { diskPlace, startDevice } from "../harness/device.ts";
import { eventually } from "../harness/eventually.ts";
import { countRequests } from "../harness/request_count.ts";
import { startServer } from "../harness/server_process.ts";
import { makeTempFolder } from "../harness/temp_folder.ts";
import { docsOf, have, hear, idsOf, join, patient, reach } from "./scene.ts";

test("what was merged live is there after a start without the server", patient, async () => {
  await using folder = await makeTempFolder();
  const closed = diskPlace(`${folder.path}/closed`);
  const killed = diskPlace(`${folder.path}/killed`);
  const ids = idsOf("doc", 5);
  {
    await using server = await startServer();
    await using writer = await startDevice();
    await using reader = await startDevice(closed);
    await using victim = await startDevice(killed);
    await join(server, [writer, reader, victim]);
    await writer.put({ docs: docsOf(...ids) });
    await hear([reader, victim], ids);
    // A crash may cost what was merged in the last seconds: until a device finds all in a copy of
    // what this one has on its disk.
    let copies = 0;
    await eventually(async () => {
      const copy = `${folder.path}/copy-${copies++}`;
      await cp(`${folder.path}/killed`, copy, { recursive: true });
      await using device = await startDevice(diskPlace(copy));
      assertEquals(Object.keys(await device.docs()).sort(), ids);
    }, { everyMs: 1_000 });
    await victim.kill();
  }
  for (const place of [closed, killed]) {
    await using device = await startDevice(place);
    await have([device], ids);
  }
});

test(
  "a reader of a long ledger writes nothing to it, with or without the right",
  patient,
  async () => {
    await using server = await startServer();
    const [ofA, ofB] = [idsOf("a", 60), idsOf("b", 60)];
    {
      await using a = await startDevice();
      await using b = await startDevice();
      await Promise.all([a.put({ docs: docsOf(...ofA) }), b.put({ docs: docsOf(...ofB) })]);
      await join(server, [a, b]);
      await have([a, b], [...ofA, ...ofB]);
      await Promise.all([a.flush(), b.flush()]);
      await reach([a, b], "synced");
    }
    const before = server.log.length;
    await using reader = await startDevice();
    await using guest = await startDevice();
    await join(server, [reader]);
    await join(server, [guest], { right: "read" });
    await have([reader, guest], [...ofA, ...ofB]);
    // What Fireproof writes at an attach, and the compaction that follows, are done when this is.
    await Promise.all([reader.flush(), guest.flush()]);
    await reach([reader, guest], "synced");
    assertEquals(countRequests(server.log.slice(before)).commit ?? 0, 0);
  },
);
