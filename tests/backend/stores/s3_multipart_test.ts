/** Uploads to S3 in parts that fail: they leave nothing behind, and are not taken for stored. */

import { describe, it } from "node:test";
import { assertEquals, assertMatch } from "#assert";
import { pieces, readBlob } from "../../conformance/blob_store.ts";
import { keyOf } from "../../conformance/fixtures.ts";
import { assertFails } from "../../harness/assert_fails.ts";
import { declareOnS3, large, smallParts, statusFault } from "../../harness/s3_scene.ts";

await declareOnS3("uploads to S3 in parts", ({ gate, open }) => {
  describe("an upload in parts that fails", () => {
    it("leaves nothing behind, wherever it fails", async () => {
      const actionsOfUpload = ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"];
      for (const failing of actionsOfUpload) {
        await using store = await open(smallParts);
        const key = keyOf("a", large);
        gate.set(({ action }) => action === failing ? statusFault(403, "AccessDenied") : undefined);
        await assertFails("INTERNAL", () => store.put(key, pieces(large, 9999)));
        gate.set(() => undefined);
        assertEquals([gate.openUploads.size, await store.has(key)], [0, false], failing);
        await store.put(key, pieces(large));
        assertEquals(await readBlob(store, key), large);
      }
    });

    it("sends a part again that was lost", async () => {
      await using store = await open(smallParts);
      const key = keyOf("a", large);
      let parted = 0;
      gate.set(({ action }) => {
        if (action !== "UploadPart") return undefined;
        return ++parted % 2 ? { kind: "reset" } : undefined;
      });
      await store.put(key, pieces(large));
      assertEquals([parted, gate.openUploads.size], [6, 0]);
      gate.set(() => undefined);
      assertEquals(await readBlob(store, key), large);
    });

    it("is completed again when the answer was lost, or tells of an error beside its 200", async () => {
      const body = "<?xml version='1.0'?>\n<Error><Code>InternalError</Code></Error>";
      for (const fault of [{ kind: "reset" }, { kind: "status", status: 200, body }] as const) {
        await using store = await open(smallParts);
        const key = keyOf("a", large);
        let completed = 0;
        gate.set(({ action }) => {
          return action === "CompleteMultipartUpload" && ++completed === 1 ? fault : undefined;
        });
        await store.put(key, pieces(large));
        assertEquals([completed, gate.openUploads.size], [2, 0]);
        assertEquals(await readBlob(store, key), large);
      }
    });

    it("leaves the blob that another has put meanwhile", async () => {
      await using store = await open({ ...smallParts, prefix: "shared" });
      await using whole = await open({ prefix: "shared" });
      const key = keyOf("a", large);
      gate.set(() => undefined);
      const body = pieces(large, 50_000);
      await store.put(key, {
        async *[Symbol.asyncIterator]() {
          yield (await body.next()).value as Uint8Array;
          await whole.put(key, pieces(large));
          yield* body;
        },
      });
      assertEquals(gate.openUploads.size, 0);
      assertEquals(await readBlob(store, key), large);
    });

    it("is not taken for stored when S3 answers and has nothing", async () => {
      await using store = await open({ ...smallParts, maxAttempts: 2 });
      const key = keyOf("a", large);
      gate.set(({ action }) => {
        return action === "CompleteMultipartUpload"
          ? { kind: "status", status: 200, body: "<CompleteMultipartUploadResult/>" }
          : undefined;
      });
      const error = await assertFails("INTERNAL", () => store.put(key, pieces(large)));
      assertMatch(error.message, /S3 has accepted it, and does not have it whole$/);
      assertEquals(gate.openUploads.size, 0);
    });
  });
});
