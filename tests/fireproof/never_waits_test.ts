/** A local put never waits for the network. */

import { test } from "node:test";
import { assert, assertEquals } from "#assert";
import { startDevice } from "../harness/device.ts";
import { startFaultProxy } from "../harness/fault_proxy.ts";
import { startServer } from "../harness/server_process.ts";
import { docsOf, idsOf, join, patient, reach } from "./scene.ts";

/**
 * How much longer puts may take beside a silent server, which costs the work of trying to send.
 * Measured around 1 to 2; one wait for the network, of seconds, would be a hundred.
 */
const most = 10;

for (const moment of ["from the start", "after a while"] as const) {
  test(`20 puts do not wait for a server that is silent ${moment}`, patient, async () => {
    await using server = await startServer();
    await using proxy = await startFaultProxy({ target: server.port });
    await using alone = await startDevice();
    await using beside = await startDevice();
    if (moment === "from the start") await proxy.set("hole");
    await join(server, [beside], { url: proxy.url });
    if (moment === "after a while") await reach([beside], "synced");
    await proxy.set("hole");
    for (const device of [alone, beside]) await device.put({ docs: docsOf("warm-up") });
    const answered = proxy.bytesDown;
    let aloneMs = 0;
    let besideMs = 0;
    // Turn by turn, so that whatever else the machine does slows both.
    for (const id of idsOf("doc", 20)) {
      aloneMs += await timed(() => alone.put({ docs: docsOf(id) }));
      besideMs += await timed(() => beside.put({ docs: docsOf(id) }));
    }
    assertEquals(Object.keys(await beside.docs()).length, 21);
    assertEquals(proxy.bytesDown, answered, "Expected no answer to have been sent");
    assert(besideMs < most * aloneMs, `Took ${besideMs} ms beside ${aloneMs} ms alone`);
  });
}

async function timed(run: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await run();
  return performance.now() - start;
}
