/** The server is killed under its writers, and nothing acknowledged is lost. */

import { test } from "node:test";
import { startDevice } from "../harness/device.ts";
import { startServer } from "../harness/server_process.ts";
import { docsOf, have, idsOf, join, long } from "./scene.ts";

const kills = 4;

test("kill -9 of the server under two writers loses no flushed write", long, async () => {
  await using server = await startServer();
  await using a = await startDevice();
  await using b = await startDevice();
  await join(server, [a, b]);
  const flushed: string[] = [];
  let writing = true;
  const write = async (device: typeof a, name: string) => {
    for (const id of idsOf(name, 1000)) {
      if (!writing) return;
      await device.put({ docs: docsOf(id) });
      await device.flush();
      flushed.push(id);
    }
  };
  const writers = Promise.all([write(a, "a"), write(b, "b")]);
  for (let kill = 1; kill <= kills; kill++) {
    const enough = flushed.length + 6;
    await Promise.race([writers, until(() => flushed.length >= enough)]);
    await server.kill();
    await server.start();
  }
  writing = false;
  await writers;
  // The writers' own databases could bring back what the server had lost; a last crash and readers
  // that meet the server alone could not.
  await a.detach();
  await b.detach();
  await server.kill();
  await server.start();
  await using fresh = await startDevice();
  await join(server, [fresh]);
  await have([fresh], flushed);
});

async function until(check: () => boolean): Promise<void> {
  while (!check()) await new Promise((resolve) => setTimeout(resolve, 20));
}
