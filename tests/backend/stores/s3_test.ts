/** Blobs in S3 pass the suite of their interface, on a real server, also where it is made stricter. */

import { after, describe, it, test } from "node:test";
import { assert, assertEquals, assertMatch, assertRejects } from "#assert";
import { openS3 } from "../../../src/backend/stores/s3.ts";
import type { S3Options } from "../../../src/backend/stores/s3_options.ts";
import { HearthError } from "../../../src/protocol/errors.ts";
import { blobStoreSuite, pieces, readBlob } from "../../conformance/blob_store.ts";
import { keyOf, utf8 } from "../../conformance/fixtures.ts";
import { startS3Gate } from "../../harness/s3_gate.ts";
import { account, lackOfS3, startS3Server } from "../../harness/s3_server.ts";
import { requirement } from "../../require.ts";

const skip = requirement("s3", lackOfS3);
if (skip) test("blobs in S3", { skip }, () => {});
else await declare();

async function declare(): Promise<void> {
  const bucket = "hearth";
  const server = await startS3Server(bucket);
  after(() => server[Symbol.asyncDispose]());
  const gate = await startS3Gate({ target: server.port, ...account });
  after(() => gate[Symbol.asyncDispose]());
  let count = 0;
  const place = (): S3Options => ({
    endpoint: gate.url,
    region: "us-east-1",
    bucket,
    prefix: `new prefix+(${count++})/ü`,
    ...account,
  });
  const parts = { partBytes: 100_000, allowSmallParts: true };

  blobStoreSuite("S3", () => openS3({ ...place(), endpoint: server.url }));
  blobStoreSuite("S3 in parts", () => openS3({ ...place(), ...parts, endpoint: server.url }));
  blobStoreSuite("strict S3", () => openS3(place()));
  blobStoreSuite("strict S3 in parts", () => openS3({ ...place(), ...parts }));

  describe("openS3()", () => {
    const large = Uint8Array.from({ length: 250_000 }, (_, at) => at % 253);

    it("says that there is no such bucket", async () => {
      const error = await assertRejects(() => openS3({ ...place(), bucket: "another" }));
      assertEquals(error.message, 'Cannot open bucket "another": there is none');
      assertEquals(error instanceof HearthError && error.code, "INTERNAL");
    });

    it("says that the credentials are refused, and does not tell them", async () => {
      for (const wrong of [{ accessKeyId: "unknown" }, { secretAccessKey: "hush" }]) {
        const error = await assertRejects(() => openS3({ ...place(), ...wrong }));
        assertEquals(
          error.message,
          'Cannot open bucket "hearth": S3 refuses HeadBucket (HTTP 403)',
        );
        assertEquals(error instanceof HearthError && error.code, "INTERNAL");
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
      await using store = await openS3(place());
      gate.forget();
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
      await using store = await openS3(place());
      const key = keyOf("a", large);
      gate.forget();
      await Promise.all(Array.from({ length: 10 }, () => store.put(key, pieces(large))));
      assertEquals(gate.seen.filter(({ action }) => action === "PutObject").length, 1);
      await using inParts = await openS3({ ...place(), ...parts });
      await inParts.put(key, pieces(large));
      gate.forget();
      await inParts.put(key, pieces(large));
      assertEquals(gate.seen.map(({ action }) => action), ["HeadObject"]);
    });

    it("uploads a large blob in parts, each signed by its digest", async () => {
      await using store = await openS3({ ...place(), ...parts });
      gate.forget();
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
      await using store = await openS3({ ...place(), ...parts });
      const other = large.slice();
      other[249_999] = 1;
      const key = keyOf("a", large);
      gate.forget();
      for (const wrong of [other, large.subarray(1), new Uint8Array(250_001)]) {
        const error = await assertRejects(() => store.put(key, pieces(wrong, 10_000)));
        assertEquals(error instanceof HearthError && error.code, "DIGEST_MISMATCH");
      }
      assertEquals(gate.openUploads.size, 0);
      assert(!gate.seen.some(({ action }) => action === "CompleteMultipartUpload"));
      assertEquals(await store.has(key), false);
    });

    it("heals an object of the wrong size by the next put", async () => {
      for (const options of [{}, parts]) {
        const shared = { ...place(), ...options };
        await using store = await openS3(shared);
        const key = keyOf("a", large);
        // Past the gate, to the server that looks at no signature.
        const { pathname } = new URL((await store.presignGet(key, 60)).url);
        const damage = await fetch(server.url + pathname, { method: "PUT", body: "damaged" });
        assertEquals([damage.status, await damage.text()], [200, ""]);
        assertEquals(await store.has(key), false);
        const error = await assertRejects(() => readBlob(store, key));
        assertEquals(error instanceof HearthError && error.code, "INTERNAL");
        await store.put(key, pieces(large));
        assertEquals(await readBlob(store, key), large);
      }
    });

    it("tells of parts that it could not remove", async () => {
      const leftovers: string[] = [];
      await using store = await openS3({
        ...place(),
        ...parts,
        endpoint: server.url,
        onLeftover: ({ message }) => leftovers.push(message),
      });
      await assertRejects(() => store.put(keyOf("a", large), pieces(large.subarray(1), 10_000)));
      assertEquals(leftovers.length, 1);
      assertMatch(leftovers[0] ?? "", /S3 fails at AbortMultipartUpload \(HTTP 405 MethodNot/);
    });

    it("sends no more requests at once than it may", async () => {
      await using store = await openS3({ ...place(), maxConcurrent: 3 });
      gate.forget();
      const keys = Array.from({ length: 40 }, (_, at) => keyOf(`blob ${at}`, utf8(`${at}`)));
      await Promise.all(keys.map((key, at) => store.put(key, pieces(utf8(`${at}`)))));
      await Promise.all(keys.map((key) => store.has(key)));
      assert(gate.mostAtOnce <= 3, `${gate.mostAtOnce} at once`);
    });
  });

  describe("a direct request", () => {
    const bytes = utf8("straight to S3");
    const key = keyOf("a", bytes);

    it("uploads and downloads by plain fetch", async () => {
      for (const endpoint of [gate.url, server.url]) {
        await using store = await openS3({ ...place(), endpoint });
        const put = await store.presignPut(key, 60);
        const stored = await fetch(put.url, { ...toInit(put), body: toBody(bytes) });
        assertEquals([stored.status, await stored.text()], [200, ""]);
        assertEquals(await readBlob(store, key), bytes);
        const get = await store.presignGet(key, 60);
        const answer = await fetch(get.url, toInit(get));
        assertEquals(new Uint8Array(await answer.arrayBuffer()), bytes);
        assertEquals(answer.headers.get("content-disposition"), "attachment");
      }
    });

    it("is bound to its method, object, size, digest and time", async () => {
      await using store = await openS3(place());
      const put = await store.presignPut(key, 60);
      const status = async (url: string, init: RequestInit) => {
        const answer = await fetch(url, init);
        await answer.body?.cancel();
        return answer.status;
      };
      const init = { ...toInit(put), body: toBody(bytes) };
      const longer = put.url.replace("X-Amz-Expires=60", "X-Amz-Expires=600");
      assertEquals(await status(longer, init), 403);
      assertEquals(await status(put.url.replace("/acme/", "/other/"), init), 403);
      assertEquals(await status(put.url, { ...init, body: toBody(utf8("straight to s3")) }), 400);
      assertEquals(await status(put.url, { ...init, body: toBody(utf8("shorter")) }), 403);
      assertEquals(await status(put.url, { ...init, headers: {} }), 403);
      assertEquals(await status(put.url, { method: "GET" }), 403);
      assertEquals(await status((await store.presignGet(key, 60)).url, init), 403);
      assertEquals(await store.has(key), false);
      await using past = await openS3({
        ...place(),
        clock: { now: () => Date.now() - 120_000, after: () => () => {} },
      });
      assertEquals(await status((await past.presignGet(key, 60)).url, {}), 403);
      for (const wrong of [0, 1.5, 604_801, NaN]) {
        assert(await assertRejects(() => store.presignGet(key, wrong)) instanceof RangeError);
      }
    });
  });
}

/** Browsers and runtimes write the length themselves. */
function toInit({ method, headers }: {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
}): RequestInit {
  const { "content-length": _, ...rest } = headers;
  return { method, headers: rest };
}

function toBody(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}
