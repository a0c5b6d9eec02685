/** Devices do what they are told, here and in a process of each runtime. */

import { test } from "node:test";
import { assert, assertEquals, assertRejects } from "#assert";
import { type Device, diskPlace, localDevice, memoryPlace, startDevice } from "./device.ts";
import { eventually } from "./eventually.ts";
import { bytesOf, digestOf } from "./made_bytes.ts";
import { findRuntime, runtimeNames } from "./runtimes.ts";
import { makeTempFolder } from "./temp_folder.ts";

const timeout = 120_000;

test("a device in this process writes, hears, and reads files back", { timeout }, async () => {
  await using device = await localDevice();
  await writeAndRead(device);
});

for (const name of runtimeNames) {
  const runtime = findRuntime(name);
  const skip = runtime ? false : `${name} is not on PATH`;
  test(`a device on ${name} writes, hears, and reads files back`, { timeout, skip }, async () => {
    await using device = await startDevice(memoryPlace(), runtime);
    await writeAndRead(device);
  });
}

test("a killed device leaves its data to the next one in its place", { timeout }, async () => {
  await using folder = await makeTempFolder();
  const place = diskPlace(folder.path);
  const first = await startDevice(place);
  await first.put({ docs: [{ _id: "a", text: "kept" }] });
  const call = assertRejects(() =>
    first.heard().then(() => first.docs()).then(() => first.flush())
  );
  await first.kill();
  await call;
  await using second = await startDevice(place);
  assertEquals((await second.docs()).a?.text, "kept");
});

test("a device reports errors with their message", { timeout }, async () => {
  await using device = await startDevice();
  const error = await assertRejects(() => device.files({ id: "nobody" }));
  assert(/nobody/.test(error.message), error.message);
});

async function writeAndRead(device: Device): Promise<void> {
  await device.put({ docs: [{ _id: "a", text: "one" }, { _id: "b", text: "two" }] });
  await device.bulk({ ids: ["c", "d"], bytesEach: 100 });
  await device.remove({ id: "b" });
  await eventually(async () => assertEquals(await device.heard(), ["a", "b", "c", "d"]), {
    on: [device],
  });
  const docs = await device.docs();
  assertEquals(Object.keys(docs).sort(), ["a", "c", "d"]);
  assertEquals(docs.a?.text, "one");
  await device.putFiles({ id: "f", files: [{ name: "small", bytes: 3000 }] });
  assertEquals(await device.files({ id: "f" }), {
    small: {
      size: 3000,
      type: "application/x-made",
      digest: await digestOf(bytesOf("small", 3000)),
    },
  });
  assertEquals(await device.faults(), []);
}
