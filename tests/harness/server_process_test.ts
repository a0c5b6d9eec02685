/** The real server starts, answers, is killed and comes back, as the tests need it. */

import { test } from "node:test";
import { assert, assertEquals } from "#assert";
import { startServer } from "./server_process.ts";

test("a server starts with nothing configured, logs, and outlives its end", {
  timeout: 120_000,
}, async () => {
  await using server = await startServer();
  const first = server.pid;
  assert(server.log.some(({ message }) => `${message}`.includes(server.url)));
  assertEquals((await server.stop()).code, 0);
  await server.start();
  assertEquals((await server.kill()).signal, "SIGKILL");
  await server.start();
  assert(server.pid !== first);
  const answer = await fetch(`${server.url}/v1/rpc`, { method: "POST" });
  await answer.body?.cancel();
  assertEquals(answer.status, 401);
});
