/** Commits and blobs: what is kept, what is refused, and what comes back. */

import { test } from "node:test";
import { assert, assertEquals, assertRejects } from "#assert";
import { HearthError } from "../../src/protocol/errors.ts";
import { defaultLimits } from "../../src/protocol/limits.ts";
import type { BlobAnswer } from "../../src/protocol/model.ts";
import { createMemoryBlobStore } from "../../src/backend/stores/memory.ts";
import { makeBlob, makeMeta, sha256 } from "./support/made.ts";
import { RawSocket } from "./support/raw_client.ts";
import { startTestBackend, type TestBackend } from "./support/test_backend.ts";

const ledger = "acme/todos";

async function greet(server: TestBackend): Promise<RawSocket> {
  return await RawSocket.greet(server.url, await server.token());
}

async function errorOf(call: () => Promise<unknown>): Promise<HearthError> {
  const error = await assertRejects(call);
  assert(error instanceof HearthError, String(error));
  return error;
}

async function put(url: string, bytes: Uint8Array<ArrayBuffer>): Promise<number> {
  const response = await fetch(url, { method: "PUT", body: bytes });
  await response.arrayBuffer();
  return response.status;
}

async function bytesOf({ bytes, url }: BlobAnswer): Promise<Uint8Array> {
  if (bytes) return bytes;
  const response = await fetch(url ?? "");
  assertEquals(response.status, 200);
  return new Uint8Array(await response.arrayBuffer());
}

test("a commit is told its cursor, and the same one when it is repeated", async () => {
  await using server = await startTestBackend();
  const socket = await greet(server);
  const metas = [makeMeta("a"), makeMeta("b")];
  const { epoch } = server.deps.metaStore;
  assertEquals(await socket.call("commit", { ledger, metas }), { cursor: `${epoch}.2` });
  await socket.call("commit", { ledger, metas: [makeMeta("c")] });
  assertEquals(await socket.call("commit", { ledger, metas }), { cursor: `${epoch}.2` });
  await socket.close();
});

test("blobs of every size come back as they were, inline up to the budget, then by URL", async () => {
  await using server = await startTestBackend({
    limits: { ...defaultLimits, inlineBytes: 200_000 },
  });
  const socket = await greet(server);
  const blobs = [10, 64 << 10, (64 << 10) + 1, 200_000].map((size, at) => makeBlob(at, size));
  for (const { ref, upload } of blobs) {
    const metas = [makeMeta(ref.cid, [ref])];
    await socket.call("commit", { ledger, metas, blobs: [upload] });
  }
  const asked = { ledger, blobs: blobs.map((it) => it.ref) };
  const { blobs: answers, missing } = await socket.call("getBlobs", asked);
  assertEquals(missing, []);
  assertEquals(answers.map((it) => it.bytes !== undefined), [true, true, true, false]);
  for (const [at, answer] of answers.entries()) {
    assertEquals(answer.digest, blobs[at]?.digest);
    assertEquals(sha256(await bytesOf(answer)), blobs[at]?.digest);
  }
  const none = await socket.call("getBlobs", { ...asked, inlineBytes: 0 });
  assertEquals(none.blobs.filter((it) => it.bytes), []);
  for (const answer of none.blobs) assertEquals(sha256(await bytesOf(answer)), answer.digest);
  await socket.close();
});

test("missing and getBlobs name what the ledger does not have, and other ledgers do not count", async () => {
  await using server = await startTestBackend();
  const token = await server.token("write", [ledger, "acme/other"]);
  const socket = await RawSocket.greet(server.url, token);
  const [here, there] = [makeBlob(1, 10), makeBlob(2, 10)];
  await socket.call("commit", { ledger, metas: [makeMeta("a", [here.ref])], blobs: [here.upload] });
  await socket.call("commit", {
    ledger: "acme/other",
    metas: [makeMeta("b", [there.ref])],
    blobs: [there.upload],
  });
  const blobs = [here.ref, there.ref, { ...here.ref, store: "file" as const }];
  const expected = [there.ref, { ...here.ref, store: "file" as const }];
  assertEquals((await socket.call("missing", { ledger, blobs })).blobs, expected);
  assertEquals((await socket.call("getBlobs", { ledger, blobs })).missing, expected);
  await socket.close();
});

test("listBlobs tells page by page what the ledger holds, in use or retired", async () => {
  await using server = await startTestBackend();
  const socket = await greet(server);
  const cars = [1, 2, 3, 4, 5].map((seed) => makeBlob(seed, 10 * seed));
  const file = makeBlob(6, 60, "file");
  for (const { ref, upload } of [...cars, file]) {
    await socket.call("commit", { ledger, metas: [makeMeta(ref.cid, [ref])], blobs: [upload] });
  }
  const [retired] = cars.slice(3).map(({ ref }) => ref);
  assert(retired);
  await socket.call("commit", { ledger, metas: [makeMeta("last")], retires: [retired] });
  const listed = cars.map(({ ref, bytes }) => ({ ...ref, size: bytes.length })).reverse();
  const page = { ledger, store: "car" as const };
  assertEquals(await socket.call("listBlobs", page), { blobs: listed, more: false });
  const first = await socket.call("listBlobs", { ...page, limit: 2 });
  assertEquals(first, { blobs: listed.slice(0, 2), more: true });
  const rest = await socket.call("listBlobs", { ...page, limit: 3, before: retired.cid });
  assertEquals(rest, { blobs: listed.slice(2), more: false });
  const files = await socket.call("listBlobs", { ledger, store: "file" });
  assertEquals(files, { blobs: [{ ...file.ref, size: 60 }], more: false });
  const before = makeMeta("never stored").cid;
  const error = await errorOf(() => socket.call("listBlobs", { ...page, before }));
  assertEquals(error.code, "NOT_FOUND");
  await socket.close();
});

test("a large blob goes to a signed URL first, then the commit names its digest and size", async () => {
  await using server = await startTestBackend();
  const socket = await greet(server);
  const { ref, bytes, digest } = makeBlob(5, 3_000_000);
  const commit = () =>
    socket.call("commit", {
      ledger,
      metas: [makeMeta("a", [ref])],
      blobs: [{ ...ref, digest, size: bytes.length }],
    });
  const early = await errorOf(commit);
  assertEquals([early.code, early.details?.blobs], ["MISSING_BLOBS", [ref]]);

  const signing = { ledger, method: "PUT" as const, ...ref, digest, size: bytes.length };
  const { url } = await socket.call("signUrl", signing);
  assertEquals(await put(url, bytes), 201);
  assertEquals(await put(url, bytes), 200);
  await commit();
  const { url: getUrl } = await socket.call("signUrl", { ledger, method: "GET", ...ref });
  assertEquals(sha256(await bytesOf({ ...ref, digest, size: 0, url: getUrl })), digest);
  await socket.close();
});

test("the first commit decides the bytes of a blob, whoever uploads what later", async () => {
  await using server = await startTestBackend();
  const socket = await greet(server);
  const [first, second] = [makeBlob(1, 100), makeBlob(2, 100)];
  const metas = [makeMeta("a", [first.ref])];
  await socket.call("commit", { ledger, metas, blobs: [first.upload] });
  const again = { ...first.ref, bytes: second.bytes };
  await socket.call("commit", { ledger, metas: [makeMeta("b", [first.ref])], blobs: [again] });
  // Named by digest, never uploaded: the ledger has the blob already.
  const named = { ...first.ref, digest: second.digest, size: 100 };
  await socket.call("commit", { ledger, metas: [makeMeta("c", [first.ref])], blobs: [named] });
  const { blobs } = await socket.call("getBlobs", { ledger, blobs: [first.ref] });
  assertEquals(blobs.map((it) => it.digest), [first.digest]);
  await socket.close();
});

test("a commit that is refused leaves nothing behind", async () => {
  await using server = await startTestBackend();
  const socket = await greet(server);
  const [blob, absent] = [makeBlob(1, 100), makeBlob(2, 100)];
  const large = makeBlob(3, 200_000);
  const good = makeMeta("good", [blob.ref]);
  const refused: readonly (readonly [string, object])[] = [
    ["DIGEST_MISMATCH", {
      metas: [good, { ...makeMeta("x"), cid: good.cid }],
      blobs: [blob.upload],
    }],
    ["DIGEST_MISMATCH", { metas: [good], blobs: [{ ...blob.upload, digest: absent.digest }] }],
    ["DIGEST_MISMATCH", { metas: [good], blobs: [{ ...blob.upload, size: 99 }] }],
    ["MISSING_BLOBS", { metas: [good, makeMeta("y", [absent.ref])], blobs: [blob.upload] }],
    ["MISSING_BLOBS", {
      metas: [good],
      blobs: [large.upload, blob.upload, { ...absent.ref, digest: absent.digest, size: 100 }],
    }],
    ["BAD_PARAMS", { metas: [good], blobs: [blob.upload, makeBlob(4, 300_000).upload] }],
  ];
  for (const [code, params] of refused) {
    const error = await errorOf(() => socket.callAny("commit", { ledger, keys: ["k"], ...params }));
    assertEquals(error.code, code);
  }
  const { metas, keys, cursor } = await socket.call("watch", { ledger });
  assertEquals({ metas, keys, cursor }, {
    metas: [],
    keys: [],
    cursor: `${server.deps.metaStore.epoch}.0`,
  });
  const blobs = [blob.ref, large.ref];
  assertEquals((await socket.call("missing", { ledger, blobs })).blobs, blobs);
  await socket.close();
});

test("records are compare-and-set, and private to their subject", async () => {
  await using server = await startTestBackend();
  const alice = await greet(server);
  const bob = await RawSocket.greet(
    server.url,
    await server.token("write", [ledger], { subject: "bob" }),
  );
  const at = { ledger, name: "outbox" };
  const bytes = new Uint8Array([1]);
  assertEquals(await alice.call("getWal", at), { version: 0, bytes: null });
  assertEquals(await alice.call("putWal", { ...at, version: 0, bytes }), { version: 1 });
  const conflict = await errorOf(() => alice.call("putWal", { ...at, version: 0, bytes }));
  assertEquals([conflict.code, conflict.details?.version], ["CONFLICT", 1]);
  assertEquals(await bob.call("getWal", at), { version: 0, bytes: null });
  assertEquals((await errorOf(() => alice.call("delWal", { ...at, version: 7 }))).code, "CONFLICT");
  assertEquals(await alice.call("getWal", at), { version: 1, bytes });
  assertEquals(await alice.call("delWal", { ...at, version: 1 }), {});
  assertEquals(await alice.call("getWal", at), { version: 0, bytes: null });
  await Promise.all([alice.close(), bob.close()]);
});

test("without auto-create a ledger that does not exist is unknown, to every method", async () => {
  await using server = await startTestBackend({ autoCreate: false });
  const socket = await greet(server);
  const blob = makeBlob(1, 100_000);
  const calls: readonly (readonly [string, object])[] = [
    ["commit", { metas: [makeMeta("a", [blob.ref])], blobs: [blob.upload] }],
    ["watch", {}],
    ["missing", { blobs: [] }],
    ["getBlobs", { blobs: [] }],
    ["listBlobs", { store: "car" }],
    ["signUrl", { method: "PUT", ...blob.ref, digest: blob.digest, size: 100_000 }],
    ["delMeta", { metas: [] }],
    ["getWal", { name: "x" }],
  ];
  for (const [method, params] of calls) {
    const error = await errorOf(() => socket.callAny(method, { ledger, ...params }));
    assertEquals([method, error.code], [method, "LEDGER_UNKNOWN"]);
  }
  await socket.close();
});

test("an unforeseen fault of a store is INTERNAL with an id that the log knows, and no more", async () => {
  const blobStore = {
    ...createMemoryBlobStore(),
    has: () => Promise.reject(new Error("secret path /var/x")),
  };
  await using server = await startTestBackend({ blobStore });
  const socket = await greet(server);
  const { ref, digest } = makeBlob(1, 100);
  const error = await errorOf(() =>
    socket.call("commit", { ledger, blobs: [{ ...ref, digest, size: 100 }] })
  );
  assertEquals(error.code, "INTERNAL");
  assert(!error.message.includes("secret"));
  const line = server.log.find((it) => it.level === "error");
  assertEquals(line?.id, error.details?.id);
  await socket.call("getWal", { ledger, name: "alive" });
  await socket.close();
});
