/** What S3 and the way to it do to requests: tried again where that helps, told apart where not. */

import { after, describe, it, test } from "node:test";
import { assert, assertEquals, assertMatch, assertRejects } from "#assert";
import { type Clock, systemClock } from "../../../src/base/clock.ts";
import { openS3 } from "../../../src/backend/stores/s3.ts";
import type { S3Options } from "../../../src/backend/stores/s3_options.ts";
import type { DirectBlobStore } from "../../../src/backend/stores/direct_blob_store.ts";
import { type Code, HearthError } from "../../../src/protocol/errors.ts";
import { pieces, readBlob } from "../../conformance/blob_store.ts";
import { keyOf, utf8 } from "../../conformance/fixtures.ts";
import { startFaultProxy } from "../../harness/fault_proxy.ts";
import { type Fault, type Seen, startS3Gate } from "../../harness/s3_gate.ts";
import { account, lackOfS3, startS3Server } from "../../harness/s3_server.ts";
import { requirement } from "../../require.ts";

const skip = requirement("s3", lackOfS3);
if (skip) test("faults of S3", { skip }, () => {});
else await declare();

async function declare(): Promise<void> {
  const bucket = "hearth";
  const server = await startS3Server(bucket);
  after(() => server[Symbol.asyncDispose]());
  const gate = await startS3Gate({ target: server.port, ...account });
  after(() => gate[Symbol.asyncDispose]());
  let count = 0;
  const small = utf8("small");
  const large = Uint8Array.from({ length: 250_000 }, (_, at) => at % 253);
  const parts = { partBytes: 100_000, allowSmallParts: true };

  /** A store behind the gate, which passes everything again; pauses are as short as can be. */
  async function open(options: Partial<S3Options> = {}): Promise<DirectBlobStore> {
    gate.set(() => undefined);
    const store = await openS3({
      endpoint: gate.url,
      region: "us-east-1",
      bucket,
      prefix: `${count++}`,
      random: () => 0,
      ...account,
      ...options,
    });
    gate.forget();
    return store;
  }

  const actions = (): readonly string[] => gate.seen.map(({ action }) => action);
  const status = (number: number, code?: string, headers = {}): Fault => {
    return { kind: "status", status: number, ...(code === undefined ? {} : { code }), headers };
  };

  describe("a request that fails", () => {
    const transient: readonly Fault[] = [
      ...[408, 429, 500, 502, 504].map((number) => status(number)),
      status(503, "SlowDown", { "retry-after": "0" }),
      status(400, "RequestTimeout"),
      status(400, "BadDigest"),
      status(409, "ConditionalRequestConflict"),
      { kind: "reset" },
    ];

    it("is sent again after each fault that passes, until it is answered", async () => {
      for (const fault of transient) {
        await using store = await open();
        const key = keyOf("a", small);
        gate.set(first(2, () => fault));
        await store.put(key, pieces(small, 2));
        const puts = actions().filter((action) => action === "PutObject");
        assertEquals(puts.length, 3, JSON.stringify(fault));
        gate.set(first(2, () => fault));
        assertEquals(await readBlob(store, key), small);
        gate.set(first(2, () => fault));
        await store.delete(key);
        assertEquals(await store.has(key), false);
      }
    });

    it("is sent again without a body, which alone would tell the name of the fault", async () => {
      await using store = await open();
      for (const number of [408, 429, 500, 502, 503, 504]) {
        gate.set(first(2, () => status(number)));
        assertEquals(await store.has(keyOf("a", small)), false);
      }
    });

    it("is sent so often and no more, and then tells when to come back", async () => {
      await using store = await open({ maxAttempts: 3 });
      gate.set(() => status(503, "SlowDown"));
      const key = keyOf("a", small);
      const error = await fails("UNAVAILABLE", () => store.put(key, pieces(small)));
      assertMatch(
        error.message,
        /^Cannot store blob "car\/b\w+" of "acme\/todos": S3 fails at PutObject \(HTTP 503 SlowDown\), after 3 attempts$/,
      );
      assertEquals(error.details?.retryAfterMs, 2000);
      assertEquals(actions(), ["PutObject", "PutObject", "PutObject"]);
      await fails("UNAVAILABLE", () => store.has(key));
      await fails("UNAVAILABLE", () => store.get(key));
      await fails("UNAVAILABLE", () => store.delete(key));
    });

    it("waits as long as S3 asks for, or tells the caller to, when that is beyond its time", async () => {
      await using store = await open({ timeouts: { deadlineMs: 20_000 } });
      gate.set(() => status(503, "SlowDown", { "retry-after": "30" }));
      const error = await fails("UNAVAILABLE", () => store.has(keyOf("a", small)));
      assertEquals([error.details?.retryAfterMs, actions().length], [30_000, 1]);
      gate.set(() => status(503, "SlowDown", { "retry-after": "999999999" }));
      const other = await fails("UNAVAILABLE", () => store.has(keyOf("a", small)));
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
      gate.set(() => status(500));
      await fails("UNAVAILABLE", () => store.has(keyOf("a", small)));
      assertEquals(pauses, [50, 100, 200, 400, 800, 1600, 2500]);
    });

    it("is given up when S3 is silent for too long", async () => {
      const hand = createHandClock();
      await using store = await open({ clock: hand.clock, maxAttempts: 2 });
      gate.set(() => {
        hand.fire(15_000);
        return { kind: "silent" };
      });
      const error = await fails("UNAVAILABLE", () => store.has(keyOf("a", small)));
      assertMatch(error.message, /: S3 does not answer HeadObject, after 2 attempts$/);
      assertEquals(
        error.cause instanceof Error && error.cause.message,
        "no answer within 15000 ms",
      );
      assertEquals(actions().length, 2);
    });

    it("ends with the deadline of all attempts", async () => {
      const hand = createHandClock();
      await using store = await open({ clock: hand.clock });
      gate.set(() => {
        hand.fire(60_000);
        return { kind: "silent" };
      });
      const error = await fails("UNAVAILABLE", () => store.has(keyOf("a", small)));
      assertMatch(error.message, /S3 does not answer HeadObject$/);
    });

    it("ends when the store is closed", async () => {
      const store = await open();
      const asked = Promise.withResolvers<void>();
      gate.set(() => {
        asked.resolve();
        return { kind: "silent" };
      });
      const failure = fails("UNAVAILABLE", () => store.has(keyOf("a", small)));
      await asked.promise;
      await store[Symbol.asyncDispose]();
      const { cause } = await failure;
      assertEquals(cause instanceof Error && cause.message, "the store is closed");
      await fails("UNAVAILABLE", () => store.has(keyOf("a", small)));
    });

    it("finds S3 again after it was away", async () => {
      await using proxy = await startFaultProxy({ target: Number(new URL(gate.url).port) });
      await using store = await open({ endpoint: proxy.url, maxAttempts: 2 });
      const key = keyOf("a", large);
      for (const mode of ["refuse", "reset"] as const) {
        await proxy.set(mode);
        await fails("UNAVAILABLE", () => store.put(key, pieces(large)));
      }
      await fails(
        "UNAVAILABLE",
        () => openS3({ ...account, endpoint: proxy.url, region: "x", bucket, maxAttempts: 1 }),
      );
      await proxy.set("pass");
      await store.put(key, pieces(large));
      assertEquals(await readBlob(store, key), large);
    });

    it("is not sent again when S3 refuses it, and the error says what", async () => {
      await using store = await open();
      const key = keyOf("a", small);
      const refusals = [
        [status(403, "AccessDenied"), /S3 refuses PutObject \(HTTP 403 AccessDenied\)$/],
        [status(400, "InvalidRequest"), /S3 fails at PutObject \(HTTP 400 InvalidRequest\)$/],
        [
          status(301, "PermanentRedirect", { "x-amz-bucket-region": "eu-west-1", location: "/x" }),
          /the bucket is at another endpoint, in region eu-west-1: PutObject \(HTTP 301 Perm\w+\)$/,
        ],
      ] as const;
      for (const [fault, message] of refusals) {
        gate.forget();
        gate.set(() => fault);
        const error = await fails("INTERNAL", () => store.put(key, pieces(small)));
        assertMatch(error.message, message);
        assertEquals(actions(), ["PutObject"]);
      }
      gate.set(() => status(403));
      const asks = [
        ["HeadObject", () => store.has(key)],
        ["GetObject", () => store.get(key)],
        ["DeleteObject", () => store.delete(key)],
      ] as const;
      for (const [action, ask] of asks) {
        const { message } = await fails("INTERNAL", ask);
        assert(message.includes(`S3 refuses ${action} (HTTP 403`), message);
      }
    });

    it("tells that S3 is full", async () => {
      await using store = await open();
      const key = keyOf("a", small);
      for (
        const fault of [status(507), status(403, "QuotaExceeded"), status(500, "XMinioStorageFull")]
      ) {
        gate.set(() => fault);
        await fails("STORAGE_FULL", () => store.put(key, pieces(small)));
      }
    });

    it("tells a vanished bucket from an object that is not there", async () => {
      await using store = await open();
      gate.set(() => status(404, "NoSuchBucket"));
      const error = await fails("INTERNAL", () => store.get(keyOf("a", small)));
      assertMatch(error.message, /S3 fails at GetObject \(HTTP 404 NoSuchBucket\)$/);
      gate.set(() => status(404, "NoSuchKey"));
      assertEquals(await store.get(keyOf("a", small)), undefined);
    });
  });

  describe("an upload in parts that fails", () => {
    it("leaves nothing behind, wherever it fails", async () => {
      const actionsOfUpload = ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"];
      for (const failing of actionsOfUpload) {
        await using store = await open(parts);
        const key = keyOf("a", large);
        gate.set(({ action }) => action === failing ? status(403, "AccessDenied") : undefined);
        await fails("INTERNAL", () => store.put(key, pieces(large, 9999)));
        gate.set(() => undefined);
        assertEquals([gate.openUploads.size, await store.has(key)], [0, false], failing);
        await store.put(key, pieces(large));
        assertEquals(await readBlob(store, key), large);
      }
    });

    it("sends a part again that was lost", async () => {
      await using store = await open(parts);
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

    it("knows that it was completed when only the answer was lost", async () => {
      await using store = await open(parts);
      const key = keyOf("a", large);
      let completed = 0;
      gate.set(({ action }) => {
        return action === "CompleteMultipartUpload" && ++completed === 1
          ? { kind: "reset" }
          : undefined;
      });
      await store.put(key, pieces(large));
      assertEquals([completed, gate.openUploads.size], [2, 0]);
      assertEquals(await readBlob(store, key), large);
    });

    it("is tried again when S3 says 200 and tells of an error in the body", async () => {
      await using store = await open(parts);
      const key = keyOf("a", large);
      const body = "<?xml version='1.0'?>\n<Error><Code>InternalError</Code></Error>";
      let completed = 0;
      gate.set(({ action }) => {
        return action === "CompleteMultipartUpload" && ++completed === 1
          ? { kind: "status", status: 200, body }
          : undefined;
      });
      await store.put(key, pieces(large));
      assertEquals(completed, 2);
      assertEquals(await readBlob(store, key), large);
    });

    it("leaves the blob that another has put meanwhile", async () => {
      await using store = await open({ ...parts, prefix: "shared" });
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
      await using store = await open({ ...parts, maxAttempts: 2 });
      const key = keyOf("a", large);
      gate.set(({ action }) => {
        return action === "CompleteMultipartUpload"
          ? { kind: "status", status: 200, body: "<CompleteMultipartUploadResult/>" }
          : undefined;
      });
      const error = await fails("INTERNAL", () => store.put(key, pieces(large)));
      assertMatch(error.message, /S3 has accepted it, and does not have it whole$/);
      assertEquals(gate.openUploads.size, 0);
    });
  });

  describe("a download that fails", () => {
    const key = keyOf("a", large);

    async function stored(options: Partial<S3Options> = {}): Promise<DirectBlobStore> {
      const store = await open(options);
      await store.put(key, pieces(large));
      gate.forget();
      return store;
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
      let received = 0;
      const error = await fails("INTERNAL", async () => {
        for await (const piece of await store.get(key) ?? []) received += piece.length;
      });
      assertMatch(error.message, /: S3 breaks off at byte \d+ of 250000 every time$/);
      assert(received < 50_000, `${received} bytes were handed out`);
      assertEquals(actions().length, 5);
    });

    it("is given up when S3 does not go on from there", async () => {
      await using store = await stored();
      gate.set(({ headers }) => {
        return headers["range"]
          ? { kind: "status", status: 200, body: "from the start" }
          : { kind: "cut", bytes: 100_000 };
      });
      const error = await fails("INTERNAL", () => readBlob(store, key));
      assertMatch(error.message, /: S3 does not go on from byte \d+ \(HTTP 200\)$/);
    });

    it("never completes other bytes", async () => {
      await using store = await stored();
      gate.set(() => ({ kind: "replace", with: 7 }));
      let received = 0;
      const error = await fails("INTERNAL", async () => {
        for await (const piece of await store.get(key) ?? []) received += piece.length;
      });
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
      assertEquals(actions(), ["GetObject", "GetObject"]);
    });
  });

  test("an upload waits for room, and is told to come back when there is none in time", async () => {
    const hand = createHandClock();
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
    const late = fails("UNAVAILABLE", () => store.put(keyOf("b", small), pieces(small)));
    hand.fire(60_000);
    const error = await late;
    assertMatch(error.message, /: too many uploads are under way$/);
    wait.resolve();
    await fails("DIGEST_MISMATCH", () => slow);
    await store.put(keyOf("b", small), pieces(small));
  });
}

/** The fault for so many requests, then none. */
function first(
  count: number,
  fault: (seen: Seen) => Fault,
): (seen: Seen) => Fault | undefined {
  let left = count;
  return (seen) => left-- > 0 ? fault(seen) : undefined;
}

async function fails(code: Code, call: () => PromiseLike<unknown>): Promise<HearthError> {
  const error = await assertRejects(call);
  assert(error instanceof HearthError, `${error.stack}`);
  assertEquals(error.code, code, error.message);
  return error;
}

/** The machine's clock, but for limits of 10 s and more: these come when the test says so. */
function createHandClock() {
  const waiting = new Set<{ readonly ms: number; readonly callback: () => void }>();
  const clock: Clock = {
    now: () => systemClock.now(),
    after: (ms, callback) => {
      if (ms < 10_000) return systemClock.after(ms, callback);
      const timer = { ms, callback };
      waiting.add(timer);
      return () => void waiting.delete(timer);
    },
  };
  const fire = (ms: number): void => {
    for (const timer of [...waiting].filter((it) => it.ms === ms)) {
      waiting.delete(timer);
      timer.callback();
    }
  };
  return { clock, fire };
}
