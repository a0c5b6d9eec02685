/** Everything at once, drawn from a seed: bursts, compactions, detaches, restarts, and a server that is killed. */

import { test } from "node:test";
import { type Device, diskPlace, startDevice } from "../harness/device.ts";
import { type ServerProcess, startServer } from "../harness/server_process.ts";
import { makeTempFolder } from "../harness/temp_folder.ts";
import { type Random, seededRandom, testSeed } from "../random.ts";
import { docsOf, have, idsOf, join, ledger, long } from "./scene.ts";

const names = ["a", "b", "c"];
const steps = 12;

test(
  "devices that write through every mishap agree, and stay whole by themselves",
  long,
  async () => {
    const seed = testSeed();
    await using folder = await makeTempFolder();
    const written: string[] = [];
    const places = names.map((name) => diskPlace(`${folder.path}/${name}`));
    {
      await using server = await startServer();
      await using devices = new AsyncDisposableStack();
      const running = await Promise.all(places.map((place) => startDevice(place)));
      for (const device of running) devices.use(device);
      await join(server, running);
      await Promise.all([
        ...running.map(async (device, at) => {
          const ids = await live(device, `${names[at]}`, seededRandom(seed + at), server);
          written.push(...ids);
        }),
        killNowAndThen(server, seededRandom(seed + names.length)),
      ]);
      await have(running, written);
      await Promise.all(running.map((device) => device.flush()));
      await using fresh = await startDevice();
      await join(server, [fresh]);
      await have([fresh], written);
    }
    for (const place of places) {
      // Without the server, which could make up for what the device has lost.
      await using alone = await startDevice(place);
      await have([alone], written);
    }
  },
);

/** Does one thing after another with a device; returns the ids of what it has written. */
async function live(
  device: Device,
  name: string,
  random: Random,
  server: ServerProcess,
): Promise<string[]> {
  const ids: string[] = [];
  const put = async (count: number) => {
    const more = idsOf(`${name}-${ids.length}`, count);
    ids.push(...more);
    await device.put({ docs: docsOf(...more) });
  };
  for (let step = 0; step < steps; step++) {
    const kind = random.below(8);
    if (kind < 5) await put(1 + random.below(12));
    else if (kind < 7) await device.compact();
    else {
      await device.detach();
      await put(1 + random.below(5));
      await device.attach({ url: server.url, ledger, token: await server.token(ledger) });
    }
  }
  return ids;
}

async function killNowAndThen(server: ServerProcess, random: Random): Promise<void> {
  for (let kill = 0; kill < 2; kill++) {
    await new Promise((resolve) => setTimeout(resolve, random.below(1500)));
    await server.kill();
    await server.start();
  }
}
