/** Attachments that go to S3 and come from there, past the server. */

import { test } from "node:test";
import { assert, assertEquals } from "#assert";
import { startDevice } from "../harness/device.ts";
import { startDirectServer } from "../harness/direct_server.ts";
import { bytesOf, digestOf } from "../harness/made_bytes.ts";
import { freePort } from "../harness/ports.ts";
import { lackOfS3 } from "../harness/s3_server.ts";
import { requirement } from "../require.ts";
import { hear, join, patient } from "./scene.ts";

const options = { ...patient, skip: requirement("s3", lackOfS3) };
/** What the database keeps, and commits and answers carry. */
const inlineBytes = 64 << 10;
const files = [{ name: "small.bin", bytes: 100_000 }, { name: "large.bin", bytes: 5_000_000 }];

test(
  "files over 64 KiB go live both ways, and none of their bytes through the server",
  options,
  async () => {
    await using house = await startDirectServer();
    const { server, gate } = house;
    await using a = await startDevice();
    await using b = await startDevice();
    await join(server, [a, b]);
    await a.putFiles({ id: "from-a", files });
    await hear([b], ["from-a"]);
    assertEquals(await b.files({ id: "from-a" }), await expected());
    await b.putFiles({ id: "from-b", files: files.map((it) => ({ ...it, name: `b-${it.name}` })) });
    await hear([a], ["from-b"]);
    assertEquals(await a.files({ id: "from-b" }), await expected("b-"));

    const requests = server.log.filter(({ message }) => message === "request");
    assert(requests.some(({ method }) => method === "signUrl"));
    for (const { method, bytes } of requests) {
      assert(!/blob$/.test(`${method}`), `${method} went through the server`);
      assert(Number(bytes) < inlineBytes, `${method} was answered with ${bytes} bytes`);
    }
    const sentBytes = gate.seen.reduce((sum, { bytes }) => sum + bytes, 0);
    assert(sentBytes > 2 * files.reduce((sum, { bytes }) => sum + bytes, 0), `${sentBytes} to S3`);
    for (const { action, target } of gate.seen) {
      const isClient = target.includes("X-Amz-Signature");
      assertEquals(isClient, action === "PutObject" || action === "GetObject", action);
    }
    assert(!JSON.stringify(server.log).includes("X-Amz-"));
  },
);

test("where devices cannot reach S3, the same files go through the server", options, async () => {
  await using house = await startDirectServer({
    clientEndpoint: `http://127.0.0.1:${await freePort()}`,
  });
  const { server } = house;
  await using a = await startDevice();
  await using b = await startDevice();
  await join(server, [a, b]);
  await a.putFiles({ id: "from-a", files });
  await hear([b], ["from-a"]);
  assertEquals(await b.files({ id: "from-a" }), await expected());
  assert(server.log.some(({ method }) => method === "PUT blob"));
  assert(server.log.some(({ method }) => method === "GET blob"));
});

async function expected(prefix = "") {
  const found = files.map(async ({ name, bytes: size }) => {
    const digest = await digestOf(bytesOf(prefix + name, size));
    return [prefix + name, { size, type: "application/x-made", digest }];
  });
  return Object.fromEntries(await Promise.all(found));
}
