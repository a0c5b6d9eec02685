/** Downloads from S3 that fail: they go on where they broke off, and never complete other bytes. */

import { describe, it } from "node:test";
import { assert, assertEquals, assertMatch } from "#assert";
import type { DirectBlobStore } from "../../../src/backend/stores/direct_blob_store.ts";
import type { S3Options } from "../../../src/backend/stores/s3_options.ts";
import { pieces, readBlob } from "../../conformance/blob_store.ts";
import { keyOf } from "../../conformance/fixtures.ts";
import { assertFails } from "../../harness/assert_fails.ts";
import { createHandClock } from "../../harness/fake_clock.ts";
import { declareOnS3, large } from "../../harness/s3_scene.ts";

await declareOnS3("downloads from S3", ({ gate, open }) => {
  describe("a download that fails", () => {
    const key = keyOf("a", large);

    async function stored(options: Partial<S3Options> = {}): Promise<DirectBlobStore> {
      const store = await open(options);
      await store.put(key, pieces(large));
      gate.forget();
      return store;
    }

    async function readUntilItFails(store: DirectBlobStore) {
      let received = 0;
      const error = await assertFails("INTERNAL", async () => {
        for await (const piece of await store.get(key) ?? []) received += piece.length;
      });
      return { error, received };
    }

    it("goes on from where it broke off", async () => {
      for (const kind of ["cut", "stall"] as const) {
        const hand = createHandClock();
        await using store = await stored({ clock: hand.clock, timeouts: { stallMs: 20_000 } });
        // Again and again, since nothing tells when the reader has come to the end of what came.
        const stalling = kind === "stall" ? setInterval(() => hand.fire(20_000), 20) : undefined;
        gate.set(({ headers }) => {
          if (!headers["range"]) return { kind, bytes: 100_000 };
          clearInterval(stalling);
        });
        assertEquals(await readBlob(store, key), large);
        // Some runtimes lose bytes that came right before the connection ended.
        const [, range = ""] = gate.seen.map(({ headers }) => headers["range"]);
        assertMatch(range, /^bytes=\d+-$/);
        assertEquals(gate.seen.length, 2);
      }
    });

    it("is given up when it does not come on, and is never complete", async () => {
      await using store = await stored();
      gate.set(() => ({ kind: "cut", bytes: 10_000 }));
      const { error, received } = await readUntilItFails(store);
      assertMatch(error.message, /: S3 breaks off at byte \d+ of 250000 every time$/);
      assert(received < 50_000, `${received} bytes were handed out`);
      assertEquals(gate.actions.length, 5);
    });

    it("is given up when S3 does not go on from there", async () => {
      await using store = await stored();
      gate.set(({ headers }) => {
        return headers["range"]
          ? { kind: "status", status: 200, body: "from the start" }
          : { kind: "cut", bytes: 100_000 };
      });
      const error = await assertFails("INTERNAL", () => readBlob(store, key));
      assertMatch(error.message, /: S3 does not go on from byte \d+ \(HTTP 200\)$/);
    });

    it("never completes other bytes", async () => {
      await using store = await stored();
      gate.set(() => ({ kind: "replace", with: 7 }));
      const { error, received } = await readUntilItFails(store);
      assertMatch(error.message, /: the bytes in S3 are not those that were stored$/);
      assert(received < large.length, `${received} bytes were handed out`);
    });

    it("ends when nobody wants it any more, before it is read or while it is", async () => {
      await using store = await stored();
      gate.set(() => ({ kind: "stall", bytes: 100_000 }));
      const unread = (await store.get(key))?.[Symbol.asyncIterator]();
      await unread?.return?.();
      assertEquals(await unread?.next(), { done: true, value: undefined });
      const reading = (await store.get(key))?.[Symbol.asyncIterator]();
      const pending = reading?.next();
      await reading?.return?.();
      await pending;
      assertEquals(await reading?.next(), { done: true, value: undefined });
      assertEquals(gate.actions, ["GetObject", "GetObject"]);
    });
  });
});
