/** Two servers on one Postgres and one bucket, each with a device: nobody can tell them from one. */

import { test } from "node:test";
import { assertEquals } from "#assert";
import { startDevice } from "../harness/device.ts";
import { findNatsServer, startNatsServer } from "../harness/nats_server.ts";
import { openTestDatabases } from "../harness/postgres_server.ts";
import { account, lackOfS3, startS3Server } from "../harness/s3_server.ts";
import { startServer } from "../harness/server_process.ts";
import { requirement } from "../require.ts";
import { docsOf, have, hear, idsOf, join, patient } from "./scene.ts";

const bucket = "hearth-test";

for (const bus of ["Postgres", "NATS"] as const) {
  test(`devices on two servers hear each other live, by a bus over ${bus}`, {
    ...patient,
    skip: requirement("s3", lackOfS3) ||
      (bus === "NATS" &&
        requirement("nats", () => findNatsServer() ? undefined : "no nats-server")),
  }, async () => {
    await using databases = openTestDatabases();
    await using database = await databases.take();
    await using s3 = await startS3Server(bucket);
    await using nats = bus === "NATS" ? await startNatsServer() : undefined;
    const env = {
      DATABASE_URL: database.url,
      HEARTH_BLOBS: `s3://${bucket}/blobs?endpoint=${s3.url}&region=eu-1`,
      AWS_ACCESS_KEY_ID: account.accessKeyId,
      AWS_SECRET_ACCESS_KEY: account.secretAccessKey,
      ...(nats && { HEARTH_BUS: `nats://127.0.0.1:${nats.port}` }),
    };
    await using first = await startServer({ env });
    await using second = await startServer({ env });
    await using a = await startDevice();
    await using b = await startDevice();
    await join(first, [a]);
    await join(second, [b]);
    await a.put({ docs: docsOf("from-a") });
    await hear([b], ["from-a"]);
    await b.put({ docs: docsOf("from-b") });
    await hear([a], ["from-b"]);
    // Too large for the database: it goes through the bucket.
    await a.putFiles({ id: "photo", files: [{ name: "photo.bin", bytes: 300_000 }] });
    await hear([b], ["photo"]);
    assertEquals(await b.files({ id: "photo" }), await a.files({ id: "photo" }));
    // A server that dies takes nothing with it: its device goes on where the other one is.
    await first.kill();
    const [ofA, ofB] = [idsOf("a", 10), idsOf("b", 10)];
    await Promise.all([a.put({ docs: docsOf(...ofA) }), b.put({ docs: docsOf(...ofB) })]);
    await a.detach();
    await join(second, [a]);
    await have([a, b], ["from-a", "from-b", "photo", ...ofA, ...ofB]);
  });
}
