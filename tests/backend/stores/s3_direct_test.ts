/** What clients send to S3 themselves: bound to what was signed, and believed only when S3 has it. */

import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import { AwsV4Signer } from "aws4fetch";
import { assert, assertEquals, assertMatch, assertRejects } from "#assert";
import { openS3 } from "../../../src/backend/stores/s3.ts";
import type { DirectRequest } from "../../../src/protocol/model.ts";
import { pieces } from "../../conformance/blob_store.ts";
import { keyOf, utf8 } from "../../conformance/fixtures.ts";
import { assertFails } from "../../harness/assert_fails.ts";
import { startS3Gate } from "../../harness/s3_gate.ts";
import { declareOnS3, large, smallParts } from "../../harness/s3_scene.ts";
import { account } from "../../harness/s3_server.ts";

await declareOnS3("direct requests to S3", ({ server, gate, place, open }) => {
  describe("a blob that somebody else has uploaded", () => {
    const key = keyOf("a", large);
    const other = toBody(large).reverse();

    it("is held when S3 tells the checksum of its key, and is not read", async () => {
      await using store = await open();
      assertEquals(await store.holds(key), false);
      await send(await store.presignPut(key, 60), large);
      gate.forget();
      assertEquals(await store.holds(key), true);
      assertEquals(gate.seen.map(({ action }) => action), ["HeadObject"]);
    });

    it("is held when this server has put it together of parts", async () => {
      await using store = await open(smallParts);
      await store.put(key, pieces(large));
      gate.forget();
      assertEquals(await store.holds(key), true);
      assertEquals(gate.seen.map(({ action }) => action), ["HeadObject"]);
    });

    it("is not held when its object was replaced, with or without a checksum", async () => {
      await using store = await open();
      const put = await store.presignPut(key, 60);
      await send(put, large);
      const { pathname } = new URL(put.url);
      // Whoever has the credentials can put anything there.
      const { url, headers } = await new AwsV4Signer({
        ...account,
        method: "PUT",
        url: gate.url + pathname,
        service: "s3",
        region: "us-east-1",
        headers: {
          "x-amz-checksum-sha256": createHash("sha256").update(other).digest("base64"),
          "x-amz-content-sha256": createHash("sha256").update(other).digest("hex"),
        },
      }).sign();
      assertEquals((await fetch(url, { method: "PUT", headers, body: other })).status, 200);
      assertEquals([await store.holds(key), await store.has(key)], [false, false]);
      // The same bytes heal it.
      await send(put, large);
      assertEquals(await store.holds(key), true);
      // Past the gate, which has no checksum of what came there.
      await fetch(server.url + pathname, { method: "PUT", body: other });
      assertEquals(await store.holds(key), false);
    });

    it("is read where S3 tells no checksum", async () => {
      await using silent = await startS3Gate({
        target: server.port,
        ...account,
        tellsChecksums: false,
      });
      await using store = await open({ endpoint: silent.url });
      const put = await store.presignPut(key, 60);
      await send(put, large);
      assertEquals(await store.holds(key), true);
      assertEquals(silent.seen.at(-1)?.action, "GetObject");
      await fetch(server.url + new URL(put.url).pathname, { method: "PUT", body: other });
      assertEquals(await store.holds(key), false);
    });

    it("is not judged while S3 cannot be asked or does not bring it", async () => {
      await using silent = await startS3Gate({
        target: server.port,
        ...account,
        tellsChecksums: false,
      });
      await using store = await open({ endpoint: silent.url });
      await send(await store.presignPut(key, 60), large);
      const faults = [
        ["HeadObject", { kind: "status", status: 503 }, "UNAVAILABLE"],
        ["GetObject", { kind: "status", status: 503 }, "UNAVAILABLE"],
        ["GetObject", { kind: "cut", bytes: 1000 }, "INTERNAL"],
      ] as const;
      for (const [action, fault, code] of faults) {
        silent.set((seen) => seen.action === action ? fault : undefined);
        await assertFails(code, () => store.holds(key));
      }
    });
  });

  describe("a bucket for clients", () => {
    it("is opened when S3 refuses other bytes than were signed, and keeps none of them", async () => {
      gate.forget();
      await using _store = await openS3({ ...place(), clientEndpoint: "https://s3.example" });
      const [head, probe, ...others] = gate.seen;
      assertEquals([head?.action, probe?.action, others], ["HeadBucket", "PutObject", []]);
      assertMatch(probe?.target ?? "", /X-Amz-SignedHeaders=content-length%3Bhost%3Bx-amz-checks/);
    });

    it("is not opened when S3 takes them", async () => {
      const seen: string[] = [];
      const error = await assertFails("INTERNAL", () =>
        openS3({
          ...place(),
          endpoint: server.url,
          clientEndpoint: server.url,
          fetch: (input, init) => {
            seen.push(`${init?.method}`);
            return fetch(input, init);
          },
        }));
      assertMatch(error.message, /takes other bytes than were signed/);
      assertEquals(seen, ["HEAD", "PUT", "DELETE"]);
    });

    it("has requests signed for where clients reach it", async () => {
      await using store = await open({ clientEndpoint: "https://s3.example" });
      const key = keyOf("a", large);
      for (const { url } of [await store.presignGet(key, 60), await store.presignPut(key, 60)]) {
        assertEquals(new URL(url).origin, "https://s3.example");
      }
    });
  });

  describe("a direct request", () => {
    const bytes = utf8("straight to S3");
    const key = keyOf("a", bytes);

    it("uploads and downloads blobs of every size by plain fetch", async () => {
      for (const endpoint of [gate.url, server.url]) {
        await using store = await open({ endpoint });
        for (const size of [0, 1, (64 << 10) + 1, 6 << 20]) {
          const bytes = Uint8Array.from({ length: size }, (_, at) => at % 251);
          const key = keyOf("a", bytes);
          await send(await store.presignPut(key, 60), bytes);
          assertEquals(await store.holds(key), true);
          const get = await store.presignGet(key, 60);
          const answer = await fetch(get.url, { headers: get.headers });
          assertEquals(new Uint8Array(await answer.arrayBuffer()), bytes);
          assertEquals(answer.headers.get("content-disposition"), "attachment");
        }
      }
    });

    it("is bound to its method, object, size, digest and time", async () => {
      await using store = await open();
      const put = await store.presignPut(key, 60);
      const status = async (url: string, init: RequestInit) => {
        const answer = await fetch(url, init);
        await answer.body?.cancel();
        return answer.status;
      };
      const init = toPut(put, bytes);
      const longer = put.url.replace("X-Amz-Expires=60", "X-Amz-Expires=600");
      assertEquals(await status(longer, init), 403);
      assertEquals(await status(put.url.replace("/acme/", "/other/"), init), 403);
      assertEquals(await status(put.url, { ...init, body: toBody(utf8("straight to s3")) }), 400);
      assertEquals(await status(put.url, { ...init, body: toBody(utf8("shorter")) }), 403);
      assertEquals(await status(put.url, { ...init, headers: {} }), 403);
      assertEquals(await status(put.url, { method: "GET" }), 403);
      assertEquals(await status((await store.presignGet(key, 60)).url, init), 403);
      assertEquals(await store.has(key), false);
      await using past = await open({
        clock: { now: () => Date.now() - 120_000, after: () => () => {} },
      });
      assertEquals(await status((await past.presignGet(key, 60)).url, {}), 403);
      for (const wrong of [0, 1.5, 604_801, NaN]) {
        assert(await assertRejects(() => store.presignGet(key, wrong)) instanceof RangeError);
      }
    });
  });
});

async function send(put: DirectRequest, bytes: Uint8Array): Promise<void> {
  const answer = await fetch(put.url, toPut(put, bytes));
  assertEquals([answer.status, await answer.text()], [200, ""]);
}

function toPut({ headers }: DirectRequest, bytes: Uint8Array): RequestInit {
  return { method: "PUT", headers, body: toBody(bytes) };
}

function toBody(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}
