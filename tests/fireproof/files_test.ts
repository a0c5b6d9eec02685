/** Attachments travel with their documents. */

import { test } from "node:test";
import { assertEquals } from "#assert";
import { startDevice } from "../harness/device.ts";
import { bytesOf, digestOf } from "../harness/made_bytes.ts";
import { startServer } from "../harness/server_process.ts";
import { have, hear, join, patient } from "./scene.ts";

const small = { name: "small.bin", bytes: 3_000 };
const large = { name: "large.bin", bytes: 5_000_000 };

test("files of 3 KB and 5 MB arrive and read back equal", patient, async () => {
  await using server = await startServer();
  await using a = await startDevice();
  await using b = await startDevice();
  await a.putFiles({ id: "before", files: [{ name: "early.bin", bytes: 4_000 }] });
  await join(server, [a, b]);
  await a.putFiles({ id: "after", files: [small, large] });
  await hear([b], ["after"]);
  await a.flush();
  await using fresh = await startDevice();
  await join(server, [fresh]);
  await have([b, fresh], ["after", "before"]);
  for (const device of [b, fresh]) {
    assertEquals(await device.files({ id: "before" }), {
      "early.bin": await found("early.bin", 4_000),
    });
    assertEquals(await device.files({ id: "after" }), {
      [small.name]: await found(small.name, small.bytes),
      [large.name]: await found(large.name, large.bytes),
    });
  }
});

test("a device that has read its files is attached, and attached again", patient, async () => {
  await using server = await startServer();
  await using a = await startDevice();
  await a.putFiles({ id: "before", files: [small] });
  const files = { [small.name]: await found(small.name, small.bytes) };
  assertEquals(await a.files({ id: "before" }), files);
  await join(server, [a]);
  await a.putFiles({ id: "after", files: [small] });
  assertEquals(await a.files({ id: "after" }), files);
  await a.detach();
  await join(server, [a]);
  assertEquals(await a.files({ id: "before" }), files);
  await a.flush();
});

async function found(name: string, size: number) {
  return { size, type: "application/x-made", digest: await digestOf(bytesOf(name, size)) };
}
