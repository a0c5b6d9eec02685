/** Requests to S3 that fail: sent again where that helps, and told apart where it does not. */

import { describe, it } from "node:test";
import { assert, assertEquals, assertMatch } from "#assert";
import { systemClock } from "../../../src/base/clock.ts";
import { pieces, readBlob } from "../../conformance/blob_store.ts";
import { keyOf, utf8 } from "../../conformance/fixtures.ts";
import { assertFails } from "../../harness/assert_fails.ts";
import { createHandClock } from "../../harness/fake_clock.ts";
import { startFaultProxy } from "../../harness/fault_proxy.ts";
import type { Fault, FaultPlan } from "../../harness/s3_gate.ts";
import { declareOnS3, large, statusFault } from "../../harness/s3_scene.ts";

await declareOnS3("requests to S3", ({ gate, open }) => {
  const small = utf8("small");

  describe("a request that fails", () => {
    const transient: readonly Fault[] = [
      ...[408, 429, 500, 502, 504].map((number) => statusFault(number)),
      statusFault(503, "SlowDown", { "retry-after": "0" }),
      statusFault(400, "RequestTimeout"),
      statusFault(400, "BadDigest"),
      statusFault(409, "ConditionalRequestConflict"),
      { kind: "reset" },
    ];

    it("is sent again after each fault that passes, until it is answered", async () => {
      for (const fault of transient) {
        await using store = await open();
        const key = keyOf("a", small);
        gate.set(first(2, fault));
        await store.put(key, pieces(small, 2));
        const puts = gate.actions.filter((action) => action === "PutObject");
        assertEquals(puts.length, 3, JSON.stringify(fault));
        gate.set(first(2, fault));
        assertEquals(await readBlob(store, key), small);
        gate.set(first(2, fault));
        await store.delete(key);
        assertEquals(await store.has(key), false);
      }
    });

    it("is sent again without a body, which alone would tell the name of the fault", async () => {
      await using store = await open();
      for (const number of [408, 429, 500, 502, 503, 504]) {
        gate.set(first(2, statusFault(number)));
        assertEquals(await store.has(keyOf("a", small)), false);
      }
    });

    it("is sent so often and no more, and then tells when to come back", async () => {
      await using store = await open({ maxAttempts: 3 });
      gate.set(() => statusFault(503, "SlowDown"));
      const key = keyOf("a", small);
      const error = await assertFails("UNAVAILABLE", () => store.put(key, pieces(small)));
      assertMatch(
        error.message,
        /^Cannot store blob "car\/b\w+" of "acme\/todos": S3 fails at PutObject \(HTTP 503 SlowDown\), after 3 attempts$/,
      );
      assertEquals(error.details?.retryAfterMs, 2000);
      assertEquals(gate.actions, ["PutObject", "PutObject", "PutObject"]);
      await assertFails("UNAVAILABLE", () => store.has(key));
      await assertFails("UNAVAILABLE", () => store.get(key));
      await assertFails("UNAVAILABLE", () => store.delete(key));
    });

    it("waits as long as S3 asks for, or tells the caller to, when that is beyond its time", async () => {
      await using store = await open({ timeouts: { deadlineMs: 20_000 } });
      gate.set(() => statusFault(503, "SlowDown", { "retry-after": "30" }));
      const error = await assertFails("UNAVAILABLE", () => store.has(keyOf("a", small)));
      assertEquals([error.details?.retryAfterMs, gate.actions.length], [30_000, 1]);
      gate.set(() => statusFault(503, "SlowDown", { "retry-after": "999999999" }));
      const other = await assertFails("UNAVAILABLE", () => store.has(keyOf("a", small)));
      assertEquals(other.details?.retryAfterMs, 600_000);
    });

    it("pauses longer with each attempt, by chance", async () => {
      const pauses: number[] = [];
      await using store = await open({
        random: () => 0.5,
        maxAttempts: 8,
        clock: {
          now: () => systemClock.now(),
          after: (ms, callback) => {
            // The limits of requests are longer than any pause.
            if (ms >= 10_000) return systemClock.after(ms, callback);
            pauses.push(ms);
            return systemClock.after(0, callback);
          },
        },
      });
      gate.set(() => statusFault(500));
      await assertFails("UNAVAILABLE", () => store.has(keyOf("a", small)));
      assertEquals(pauses, [50, 100, 200, 400, 800, 1600, 2500]);
    });

    it("is given up when S3 is silent for too long", async () => {
      const hand = createHandClock();
      await using store = await open({ clock: hand.clock, maxAttempts: 2 });
      gate.set(() => {
        hand.fire(15_000);
        return { kind: "silent" };
      });
      const error = await assertFails("UNAVAILABLE", () => store.has(keyOf("a", small)));
      assertMatch(error.message, /: S3 does not answer HeadObject, after 2 attempts$/);
      assertEquals(
        error.cause instanceof Error && error.cause.message,
        "no answer within 15000 ms",
      );
      assertEquals(gate.actions.length, 2);
    });

    it("ends with the deadline of all attempts", async () => {
      const hand = createHandClock();
      await using store = await open({ clock: hand.clock });
      gate.set(() => {
        hand.fire(60_000);
        return { kind: "silent" };
      });
      const error = await assertFails("UNAVAILABLE", () => store.has(keyOf("a", small)));
      assertMatch(error.message, /S3 does not answer HeadObject$/);
    });

    it("ends when the store is closed", async () => {
      const store = await open();
      const asked = Promise.withResolvers<void>();
      gate.set(() => {
        asked.resolve();
        return { kind: "silent" };
      });
      const failure = assertFails("UNAVAILABLE", () => store.has(keyOf("a", small)));
      await asked.promise;
      await store[Symbol.asyncDispose]();
      const { cause } = await failure;
      assertEquals(cause instanceof Error && cause.message, "the store is closed");
      await assertFails("UNAVAILABLE", () => store.has(keyOf("a", small)));
    });

    it("finds S3 again after it was away", async () => {
      await using proxy = await startFaultProxy({ target: Number(new URL(gate.url).port) });
      await using store = await open({ endpoint: proxy.url, maxAttempts: 2 });
      const key = keyOf("a", large);
      for (const mode of ["refuse", "reset"] as const) {
        await proxy.set(mode);
        await assertFails("UNAVAILABLE", () => store.put(key, pieces(large)));
      }
      await assertFails("UNAVAILABLE", () => open({ endpoint: proxy.url, maxAttempts: 1 }));
      await proxy.set("pass");
      await store.put(key, pieces(large));
      assertEquals(await readBlob(store, key), large);
    });

    it("is not sent again when S3 refuses it, and the error says what", async () => {
      await using store = await open();
      const key = keyOf("a", small);
      const refusals = [
        [statusFault(403, "AccessDenied"), /S3 refuses PutObject \(HTTP 403 AccessDenied\)$/],
        [statusFault(400, "InvalidRequest"), /S3 fails at PutObject \(HTTP 400 InvalidRequest\)$/],
        [
          statusFault(301, "PermanentRedirect", {
            "x-amz-bucket-region": "eu-west-1",
            location: "/x",
          }),
          /the bucket is at another endpoint, in region eu-west-1: PutObject \(HTTP 301 Perm\w+\)$/,
        ],
      ] as const;
      for (const [fault, message] of refusals) {
        gate.forget();
        gate.set(() => fault);
        const error = await assertFails("INTERNAL", () => store.put(key, pieces(small)));
        assertMatch(error.message, message);
        assertEquals(gate.actions, ["PutObject"]);
      }
      gate.set(() => statusFault(403));
      const asks = [
        ["HeadObject", () => store.has(key)],
        ["GetObject", () => store.get(key)],
        ["DeleteObject", () => store.delete(key)],
      ] as const;
      for (const [action, ask] of asks) {
        const { message } = await assertFails("INTERNAL", ask);
        assert(message.includes(`S3 refuses ${action} (HTTP 403`), message);
      }
    });

    it("tells that S3 is full", async () => {
      await using store = await open();
      const key = keyOf("a", small);
      for (
        const fault of [
          statusFault(507),
          statusFault(403, "QuotaExceeded"),
          statusFault(500, "XMinioStorageFull"),
        ]
      ) {
        gate.set(() => fault);
        await assertFails("STORAGE_FULL", () => store.put(key, pieces(small)));
      }
    });

    it("tells a vanished bucket from an object that is not there", async () => {
      await using store = await open();
      gate.set(() => statusFault(404, "NoSuchBucket"));
      const error = await assertFails("INTERNAL", () => store.get(keyOf("a", small)));
      assertMatch(error.message, /S3 fails at GetObject \(HTTP 404 NoSuchBucket\)$/);
      gate.set(() => statusFault(404, "NoSuchKey"));
      assertEquals(await store.get(keyOf("a", small)), undefined);
    });
  });
});

/** The fault for so many requests, then none. */
function first(count: number, fault: Fault): FaultPlan {
  let left = count;
  return () => left-- > 0 ? fault : undefined;
}
