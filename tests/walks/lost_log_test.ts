/** The reader of the log dies; the server does not. */

import { test } from "node:test";
import { assertEquals } from "#assert";
import { startServer } from "../harness/server_process.ts";

test("a server whose log nobody reads any more serves on, and ends when told to", {
  timeout: 120_000,
}, async () => {
  await using server = await startServer();
  server.stopReading();
  for (let times = 0; times < 5; times++) {
    // Each is refused, and logged.
    const answer = await fetch(`${server.url}/v1/rpc`, { method: "POST" });
    await answer.body?.cancel();
    assertEquals(answer.status, 401);
  }
  assertEquals(await server.stop(), { code: 0, signal: null });
});
