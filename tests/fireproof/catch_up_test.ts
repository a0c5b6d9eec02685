/** Readers that come late, and ledgers whose commits are many, large, or compacted. */

import { test } from "node:test";
import { assert, assertEquals } from "#assert";
import { connect } from "../../mod.ts";
import { diskPlace, startDevice } from "../harness/device.ts";
import { countRequests } from "../harness/request_count.ts";
import { startServer } from "../harness/server_process.ts";
import { makeTempFolder } from "../harness/temp_folder.ts";
import { docsOf, have, headsOf, hear, idsOf, join, ledger, long, patient, reach } from "./scene.ts";

test("a fresh reader of 300 commits gets all in two round trips", long, async () => {
  await using server = await startServer();
  await using live = await startDevice();
  const ids = idsOf("doc", 300);
  {
    await using writer = await startDevice();
    await join(server, [writer, live]);
    await writer.put({ docs: docsOf(...ids) });
    await writer.flush();
    await have([live], ids);
    await live.flush();
    await live.detach();
  }
  const before = server.log.length;
  await using fresh = await startDevice();
  await join(server, [fresh]);
  await have([fresh], ids);
  const counts = countRequests(server.log.slice(before));
  const reads = ["watch", "poll", "getBlobs", "missing", "signUrl", "GET blob"]
    .reduce((sum, name) => sum + (counts[name] ?? 0), 0);
  assert(reads >= 1 && reads <= 2, `Expected one or two, found ${JSON.stringify(counts)}`);
});

test(
  "the re-attach of a ledger of 300 commits uploads nothing and asks once",
  long,
  async () => {
    await using server = await startServer();
    await using folder = await makeTempFolder();
    const places = ["writer", "reader"].map((name) => diskPlace(`${folder.path}/${name}`));
    const ids = idsOf("doc", 300);
    {
      await using writer = await startDevice(places[0]);
      await using reader = await startDevice(places[1]);
      await join(server, [writer, reader]);
      await writer.put({ docs: docsOf(...ids) });
      await have([reader], ids);
      await Promise.all([writer.flush(), reader.flush()]);
    }
    for (const place of places) {
      await using again = await startDevice(place);
      const before = server.log.length;
      await join(server, [again]);
      await again.flush();
      await reach([again], "synced");
      await have([again], ids);
      assertEquals(countRequests(server.log.slice(before)), { hello: 1, watch: 1 });
    }
  },
);

test(
  "a device that compacted what it read asks for none of it again, and covers it",
  patient,
  async () => {
    await using server = await startServer();
    await using folder = await makeTempFolder();
    const place = diskPlace(folder.path);
    const ids = idsOf("doc", 30);
    {
      await using writer = await startDevice();
      await using reader = await startDevice(place);
      await join(server, [writer, reader]);
      await writer.put({ docs: docsOf(...ids) });
      await have([reader], ids);
      await reader.compact();
      await Promise.all([writer.flush(), reader.flush()]);
    }
    await using again = await startDevice(place);
    const before = server.log.length;
    await join(server, [again]);
    await again.flush();
    await reach([again], "synced");
    assertEquals(countRequests(server.log.slice(before)), { hello: 1, watch: 1 });
    await again.put({ docs: docsOf("more") });
    await again.flush();
    await using client = connect({ url: server.url, token: await server.token(ledger) });
    const heads = await headsOf(client, ledger);
    assertEquals(heads.metas.length, 1);
    await using fresh = await startDevice();
    await join(server, [fresh]);
    await have([again, fresh], [...ids, "more"]);
  },
);

test("a commit over 1 MB arrives whole, live and for a fresh reader", patient, async () => {
  await using server = await startServer();
  await using writer = await startDevice();
  await using live = await startDevice();
  await join(server, [writer, live]);
  const ids = idsOf("bulk", 40);
  // 3 MB make several cars, all named by one meta.
  await writer.bulk({ ids, bytesEach: 75_000 });
  await hear([live], ids);
  await using fresh = await startDevice();
  await join(server, [fresh]);
  await have([live, fresh], ids);
  assertEquals(await live.docs(), await writer.docs());
  assertEquals(await fresh.docs(), await writer.docs());
});

test("compaction harms no live reader and no fresh one", patient, async () => {
  await using server = await startServer();
  await using writer = await startDevice();
  await using live = await startDevice();
  await join(server, [writer, live]);
  const ids = idsOf("doc", 12);
  await writer.put({ docs: docsOf(...ids) });
  await have([live], ids);
  await writer.compact();
  await writer.put({ docs: docsOf("after") });
  await hear([live], ["after"]);
  await live.put({ docs: docsOf("answer") });
  await live.compact();
  await live.flush();
  await using fresh = await startDevice();
  await join(server, [fresh]);
  await have([writer, live, fresh], [...ids, "after", "answer"]);
});

test("two writers cross the automatic compaction at once", long, async () => {
  await using server = await startServer();
  await using a = await startDevice();
  await using b = await startDevice();
  await join(server, [a, b]);
  const [ofA, ofB] = [idsOf("a", 110), idsOf("b", 110)];
  await Promise.all([a.put({ docs: docsOf(...ofA) }), b.put({ docs: docsOf(...ofB) })]);
  await using fresh = await startDevice();
  await join(server, [fresh]);
  await have([a, b, fresh], [...ofA, ...ofB]);
});

/** The first car of every Fireproof database that is written before it is attached. */
const firstCar = "baembeig2is4vdgz4gyiadfh5uutxxeiuqtacnesnytrnilpwcu7q5m5tmu";

test("two first cars with one CID and different bytes stay readable", patient, async () => {
  await using server = await startServer();
  await using a = await startDevice();
  await using b = await startDevice();
  await a.put({ docs: docsOf("of-a") });
  await b.put({ docs: docsOf("of-b") });
  await join(server, [a, b]);
  await have([a, b], ["of-a", "of-b"]);
  await Promise.all([a.flush(), b.flush()]);
  await using client = connect({ url: server.url, token: await server.token(ledger) });
  assertEquals(await client.missing(ledger, [{ store: "car", cid: firstCar }]), []);
  await using third = await startDevice();
  await join(server, [third]);
  await have([third], ["of-a", "of-b"]);
  await third.put({ docs: docsOf("of-third") });
  await hear([a, b], ["of-third"]);
  await reach([a, b, third], "synced");
});
