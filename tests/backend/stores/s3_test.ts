/** Blobs in S3 pass the suite of their interface, on a real server, also where it is made stricter. */

import { describe, it } from "node:test";
import { assert, assertEquals, assertMatch, assertRejects } from "#assert";
import { openS3 } from "../../../src/backend/stores/s3.ts";
import { blobStoreSuite, pieces, readBlob } from "../../conformance/blob_store.ts";
import { keyOf, utf8 } from "../../conformance/fixtures.ts";
import { assertFails } from "../../harness/assert_fails.ts";
import { createHandClock } from "../../harness/fake_clock.ts";
import { declareOnS3, large, smallParts } from "../../harness/s3_scene.ts";

await declareOnS3("blobs in S3", ({ server, gate, place, open }) => {
  blobStoreSuite("S3", () => openS3({ ...place(), endpoint: server.url }));
  blobStoreSuite("S3 in parts", () => openS3({ ...place(), ...smallParts, endpoint: server.url }));
  blobStoreSuite("strict S3", () => openS3(place()));
  blobStoreSuite("strict S3 in parts", () => openS3({ ...place(), ...smallParts }));

  describe("openS3()", () => {
    it("says that there is no such bucket", async () => {
      const error = await assertFails("INTERNAL", () => openS3({ ...place(), bucket: "another" }));
      assertEquals(error.message, 'Cannot open bucket "another": there is none');
    });

    it("says that the credentials are refused, and does not tell them", async () => {
      for (const wrong of [{ accessKeyId: "unknown" }, { secretAccessKey: "hush" }]) {
        const error = await assertFails("INTERNAL", () => openS3({ ...place(), ...wrong }));
        assertEquals(
          error.message,
          'Cannot open bucket "hearth": S3 refuses HeadBucket (HTTP 403)',
        );
      }
    });

    it("refuses options out of their bounds", async () => {
      for (const wrong of [{ partBytes: 100_000 }, { maxConcurrent: 0 }, { maxAttempts: 0.5 }]) {
        assert(await assertRejects(() => openS3({ ...place(), ...wrong })) instanceof RangeError);
      }
    });

    it("finds blobs again where they belong", async () => {
      const options = place();
      const key = keyOf("a", large, { ledger: "Acme.inc/To-do_1" });
      await using store = await openS3(options);
      await store.put(key, pieces(large, 9999));
      await using again = await openS3(options);
      assertEquals(await readBlob(again, key), large);
      await using elsewhere = await openS3(place());
      assertEquals(await elsewhere.has(key), false);
    });

    it("signs digest, size and absence with a small blob, in one request", async () => {
      await using store = await open();
      await store.put(keyOf("a", large), pieces(large));
      const [put, ...others] = gate.seen;
      assert(put);
      assertEquals([put.action, put.bytes, others], ["PutObject", large.length, []]);
      assertEquals(put.headers["content-length"], String(large.length));
      assertEquals(put.headers["if-none-match"], "*");
      assertMatch(
        put.headers["authorization"] ?? "",
        /=host;if-none-match;x-amz-checksum-sha256;x-amz-content-sha256;x-amz-date,/,
      );
    });

    it("sends a blob once that is there, and once that many put at once", async () => {
      await using store = await open();
      const key = keyOf("a", large);
      await Promise.all(Array.from({ length: 10 }, () => store.put(key, pieces(large))));
      assertEquals(gate.actions.filter((action) => action === "PutObject").length, 1);
      await using inParts = await open(smallParts);
      await inParts.put(key, pieces(large));
      gate.forget();
      await inParts.put(key, pieces(large));
      assertEquals(gate.actions, ["HeadObject"]);
    });

    it("uploads a large blob in parts, each signed by its digest", async () => {
      await using store = await open(smallParts);
      await store.put(keyOf("a", large), pieces(large, 7777));
      assertEquals(gate.seen.map(({ action, bytes }) => [action, bytes]), [
        ["HeadObject", 0],
        ["CreateMultipartUpload", 0],
        ["UploadPart", 100_000],
        ["UploadPart", 100_000],
        ["UploadPart", 50_000],
        ["CompleteMultipartUpload", gate.seen.at(-2)?.bytes],
        ["HeadObject", 0],
      ]);
      assertEquals(gate.openUploads.size, 0);
    });

    it("never completes an upload in parts of other bytes, and removes its parts", async () => {
      await using store = await open(smallParts);
      const other = large.slice();
      other[249_999] = 1;
      const key = keyOf("a", large);
      for (const wrong of [other, large.subarray(1), new Uint8Array(250_001)]) {
        await assertFails("DIGEST_MISMATCH", () => store.put(key, pieces(wrong, 10_000)));
      }
      assertEquals(gate.openUploads.size, 0);
      assert(!gate.actions.includes("CompleteMultipartUpload"));
      assertEquals(await store.has(key), false);
    });

    it("heals an object of the wrong size by the next put", async () => {
      for (const options of [{}, smallParts]) {
        const shared = { ...place(), ...options };
        await using store = await openS3(shared);
        const key = keyOf("a", large);
        // Past the gate, to the server that looks at no signature.
        const { pathname } = new URL((await store.presignGet(key, 60)).url);
        const damage = await fetch(server.url + pathname, { method: "PUT", body: "damaged" });
        assertEquals([damage.status, await damage.text()], [200, ""]);
        assertEquals(await store.has(key), false);
        await assertFails("INTERNAL", () => readBlob(store, key));
        await store.put(key, pieces(large));
        assertEquals(await readBlob(store, key), large);
      }
    });

    it("tells of parts that it could not remove", async () => {
      const leftovers: string[] = [];
      await using store = await openS3({
        ...place(),
        ...smallParts,
        endpoint: server.url,
        onLeftover: ({ message }) => leftovers.push(message),
      });
      await assertRejects(() => store.put(keyOf("a", large), pieces(large.subarray(1), 10_000)));
      assertEquals(leftovers.length, 1);
      assertMatch(leftovers[0] ?? "", /S3 fails at AbortMultipartUpload \(HTTP 405 MethodNot/);
    });

    it("sends no more requests at once than it may", async () => {
      await using store = await open({ maxConcurrent: 3 });
      const keys = Array.from({ length: 40 }, (_, at) => keyOf(`blob ${at}`, utf8(`${at}`)));
      await Promise.all(keys.map((key, at) => store.put(key, pieces(utf8(`${at}`)))));
      await Promise.all(keys.map((key) => store.has(key)));
      assert(gate.mostAtOnce <= 3, `${gate.mostAtOnce} at once`);
    });

    it("lets an upload wait for room, and tells it to come back when there is none in time", async () => {
      const hand = createHandClock();
      const small = utf8("small");
      const key = keyOf("b", small);
      await using store = await open({ maxConcurrent: 1, clock: hand.clock });
      const going = Promise.withResolvers<void>();
      const wait = Promise.withResolvers<void>();
      const slow = store.put(keyOf("a", new Uint8Array(8 << 20)), {
        async *[Symbol.asyncIterator]() {
          going.resolve();
          await wait.promise;
          yield new Uint8Array(1);
        },
      });
      await going.promise;
      const late = assertFails("UNAVAILABLE", () => store.put(key, pieces(small)));
      hand.fire(60_000);
      const error = await late;
      assertMatch(error.message, /: too many uploads are under way$/);
      wait.resolve();
      await assertFails("DIGEST_MISMATCH", () => slow);
      await store.put(key, pieces(small));
    });
  });
});
