/** Commits and blobs beyond what one message or one answer can hold. */

import { test } from "node:test";
import { assert, assertEquals, assertRejects } from "#assert";
import type { BlobRef, Client } from "../../src/client/mod.ts";
import type { HearthError } from "../../src/protocol/errors.ts";
import type { BlobAnswer } from "../../src/protocol/model.ts";
import { type MadeBlob, makeBlob, makeMeta } from "../backend/support/made.ts";
import { eventually } from "../harness/eventually.ts";
import { Scene, silence } from "./support/scripted_server.ts";

const ledger = "acme/todos";
const limits = {
  messageBytes: 10_000,
  inlineBytes: 20_000,
  inlineBlobBytes: 4_000,
  blobBytes: 100_000,
};

/** A store behind a scripted server: blobs in messages and behind signed URLs. */
class Store {
  readonly scene = new Scene();
  readonly blobs = new Map<string, MadeBlob>();
  /** What was uploaded to signed URLs. */
  readonly puts: string[] = [];
  readonly gets: string[] = [];
  /** What the next requests to signed URLs meet instead of success. */
  readonly troubles: (Response | Error)[] = [];

  constructor() {
    const { scene } = this;
    scene.session = { ...scene.session, limits };
    scene.script.commit = () => ({ cursor: "epoch1234.1" });
    scene.script.signUrl = ({ method, cid }) => ({
      url: `/v1/blobs/${method}/${cid}?sig=x`,
      expiresAt: 0,
    });
    scene.script.getBlobs = ({ blobs = [], inlineBytes = Infinity }) => {
      let left = Math.min(inlineBytes, limits.inlineBytes);
      const found = blobs.flatMap(({ cid }) => this.blobs.get(cid) ?? []);
      const answers = found.map(({ ref, digest, bytes }): BlobAnswer => {
        const { length: size } = bytes;
        if (size > left) return { ...ref, size, digest, url: `/v1/blobs/GET/${ref.cid}?sig=x` };
        left -= size;
        return { ...ref, size, digest, bytes };
      });
      return { blobs: answers, missing: blobs.filter(({ cid }) => !this.blobs.has(cid)) };
    };
    scene.fetch = (input, init) => this.#fetch(new URL(String(input)), init);
  }

  add(...blobs: MadeBlob[]): BlobRef[] {
    for (const blob of blobs) this.blobs.set(blob.ref.cid, blob);
    return blobs.map(({ ref }) => ref);
  }

  /** Fetches, and gives what came by CID. */
  async fetchAll(client: Client, refs: readonly BlobRef[]) {
    const got = new Map<string, Uint8Array>();
    const missing = await client.getBlobs(ledger, refs, ({ cid, bytes }) => {
      assert(!got.has(cid), `${cid} came twice`);
      got.set(cid, bytes);
    });
    return { got, missing };
  }

  #fetch(url: URL, init: RequestInit | undefined): Promise<Response> {
    assertEquals(url.origin, "http://hearth.test");
    const trouble = this.troubles.shift();
    if (trouble instanceof Error) return Promise.reject(trouble);
    if (trouble) return Promise.resolve(trouble);
    const cid = url.pathname.split("/").at(-1) ?? "";
    if (init?.method === "PUT") {
      this.puts.push(cid);
      return Promise.resolve(new Response(null, { status: 201 }));
    }
    this.gets.push(cid);
    const blob = this.blobs.get(cid);
    return Promise.resolve(blob ? new Response(blob.bytes) : new Response(null, { status: 404 }));
  }
}

test("a small commit is one message", async () => {
  const { scene } = new Store();
  await using client = scene.connect();
  const blob = makeBlob(1, 100);
  const meta = makeMeta("one", [blob.ref]);
  const cursor = await client.commit({
    ledger,
    blobs: [blob.upload],
    metas: [meta],
    keys: ["k"],
    supersedes: [makeMeta("zero").cid],
  });
  assertEquals(cursor, "epoch1234.1");
  assertEquals(scene.link.messages, [["commit"]]);
  const [params] = scene.paramsOf("commit");
  assertEquals(params?.blobs, [blob.upload]);
  assertEquals(params?.keys, ["k"]);
  assertEquals(params?.supersedes, [makeMeta("zero").cid]);
});

test("a large commit goes in parts: keys with the first, metas with the last", async () => {
  const store = new Store();
  await using client = store.scene.connect();
  const small = Array.from({ length: 12 }, (_, at) => makeBlob(at, 3_000));
  const large = [makeBlob(50, 30_000), makeBlob(51, 60_000)];
  const all = [...small, ...large];
  const meta = makeMeta("large", all.map(({ ref }) => ref));
  await client.commit({
    ledger,
    blobs: all.map(({ upload }) => upload),
    metas: [meta],
    keys: ["k"],
  });
  assertEquals(new Set(store.puts), new Set(large.map(({ ref }) => ref.cid)));
  const parts = store.scene.paramsOf("commit");
  assert(parts.length > 2);
  assertEquals(parts[0]?.keys, ["k"]);
  assertEquals(parts.map(({ metas = [] }) => metas.length).indexOf(1), parts.length - 1);
  const named = parts.flatMap(({ blobs = [] }) => blobs);
  assertEquals(named.map(({ cid }) => cid).sort(), all.map(({ ref }) => ref.cid).sort());
  for (const { ref, digest, bytes } of large) {
    const upload = named.find(({ cid }) => cid === ref.cid);
    assertEquals(upload, { ...ref, digest, size: bytes.length });
  }
  const signed = store.scene.paramsOf("signUrl");
  assertEquals(signed.map(({ size }) => size).sort(), [30_000, 60_000]);
});

test("nothing but the last part is sent before those ahead of it are acknowledged", async () => {
  const { scene } = new Store();
  scene.script.commit = ({ metas = [] }) => metas.length > 0 ? { cursor: "epoch1234.1" } : silence;
  await using client = scene.connect();
  const blobs = Array.from({ length: 9 }, (_, at) => makeBlob(at, 3_000).upload);
  const abort = new AbortController();
  const commit = assertRejects(() =>
    client.commit({ ledger, blobs, metas: [makeMeta("m")] }, { signal: abort.signal })
  );
  await scene.settle();
  assertEquals(scene.paramsOf("commit").length, 1);
  abort.abort(new Error("enough"));
  assertEquals((await commit).message, "enough");
});

test("a blob beyond what the server keeps is refused before anything is sent", async () => {
  const { scene } = new Store();
  await using client = scene.connect();
  const error = await assertRejects(() =>
    client.commit({ ledger, blobs: [makeBlob(1, 100_001).upload] })
  );
  assertEquals((error as HearthError).code, "TOO_LARGE");
  assertEquals(scene.calls.map(({ method }) => method), ["hello"]);
});

test("an upload is tried again with another URL, until it is clear that it never will be", async () => {
  const store = new Store();
  store.troubles.push(
    new TypeError("reset"),
    new Response(null, { status: 503, headers: { "retry-after": "1" } }),
    new Response(null, { status: 403 }),
  );
  await using client = store.scene.connect();
  const blob = makeBlob(1, 50_000);
  const commit = client.commit({ ledger, blobs: [blob.upload] });
  await eventually(async () => {
    await store.scene.pass(1_000);
    assertEquals(store.puts.length, 1);
  }, { everyMs: 10 });
  await commit;
  assertEquals(store.scene.paramsOf("signUrl").length, 4);
  store.troubles.push(new Response(null, { status: 422 }));
  const error = await assertRejects(() => client.commit({ ledger, blobs: [blob.upload] }));
  assertEquals((error as HearthError).code, "DIGEST_MISMATCH");
});

test("blobs within the budget come in one round trip", async () => {
  const store = new Store();
  const refs = store.add(...Array.from({ length: 10 }, (_, at) => makeBlob(at, 1_500)));
  await using client = store.scene.connect();
  const gone = makeBlob(99, 1).ref;
  const { got, missing } = await store.fetchAll(client, [...refs, gone, ...refs]);
  assertEquals(got.size, 10);
  assertEquals(missing, [gone]);
  assertEquals(store.scene.paramsOf("getBlobs").length, 1);
  assertEquals(store.gets, []);
});

test("beyond the budget small blobs take more rounds and large ones their own way", async () => {
  const store = new Store();
  const small = Array.from({ length: 30 }, (_, at) => makeBlob(at, 2_500));
  const large = [makeBlob(60, 30_000), makeBlob(61, 50_000)];
  const refs = store.add(...large, ...small);
  await using client = store.scene.connect();
  const { got, missing } = await store.fetchAll(client, refs);
  assertEquals(got.size, 32);
  assertEquals(missing, []);
  for (const { ref, bytes } of [...small, ...large]) assertEquals(got.get(ref.cid), bytes);
  assertEquals(new Set(store.gets), new Set(large.map(({ ref }) => ref.cid)));
  // 75,000 bytes at 20,000 a round.
  assertEquals(store.scene.paramsOf("getBlobs").length, 4);
});

test("thousands of blobs are asked for in lists that the server takes", async () => {
  const store = new Store();
  store.scene.session = {
    ...store.scene.session,
    limits: { ...limits, messageBytes: 100_000 },
  };
  const refs = store.add(...Array.from({ length: 2_300 }, (_, at) => {
    const { bytes, digest, ...blob } = makeBlob(at & 255, 4);
    const ref = makeMeta(`ref ${at}`);
    return { ...blob, bytes, digest, ref: { store: "car" as const, cid: ref.cid } };
  }));
  await using client = store.scene.connect();
  const { got } = await store.fetchAll(client, refs);
  assertEquals(got.size, 2_300);
  assertEquals(store.scene.paramsOf("getBlobs").map(({ blobs }) => blobs?.length), [
    1000,
    1000,
    300,
  ]);
  store.scene.script.missing = ({ blobs = [] }) => ({ blobs: blobs.slice(0, 1) });
  assertEquals((await client.missing(ledger, refs)).length, 3);
});

test("a download that fails, is cut short or corrupt is tried again", async () => {
  const store = new Store();
  const blob = makeBlob(1, 30_000);
  const [ref] = store.add(blob);
  assert(ref);
  const corrupt = blob.bytes.slice();
  corrupt[5] = 1 + (corrupt[5] ?? 0);
  store.troubles.push(
    new TypeError("reset"),
    new Response(blob.bytes.slice(0, 10_000)),
    new Response(corrupt),
    new Response(null, { status: 403 }),
  );
  await using client = store.scene.connect();
  const fetched = store.fetchAll(client, [ref]);
  await eventually(async () => {
    await store.scene.pass(1_000);
    assertEquals(store.gets.length, 1);
  }, { everyMs: 10 });
  assertEquals((await fetched).got.get(ref.cid), blob.bytes);
  // The first URL came with the answer.
  assertEquals(store.scene.paramsOf("signUrl").length, 4);
});

test("bytes inside an answer that are not those announced are refused", async () => {
  const store = new Store();
  const blob = makeBlob(1, 100);
  const refs = store.add({ ...blob, bytes: makeBlob(2, 100).bytes });
  await using client = store.scene.connect();
  const error = await assertRejects(() => store.fetchAll(client, refs));
  assertEquals((error as HearthError).code, "DIGEST_MISMATCH");
});

test("a download that stalls is given up, one that is slow is not", async () => {
  const store = new Store();
  const blob = makeBlob(1, 30_000);
  const [ref] = store.add(blob);
  assert(ref);
  const slow = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const from = 10_000 * pulled++;
      await new Promise<void>((resolve) => store.scene.clock.after(10_000, resolve));
      if (from < blob.bytes.length) controller.enqueue(blob.bytes.slice(from, from + 10_000));
      else controller.close();
    },
  });
  let pulled = 0;
  const stuck = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(blob.bytes.slice(0, 10_000)),
  });
  store.troubles.push(new Response(stuck), new Response(slow));
  await using client = store.scene.connect();
  let done = false;
  const fetched = store.fetchAll(client, [ref]).finally(() => done = true);
  await eventually(async () => {
    await store.scene.pass(2_000);
    assert(done);
  }, { everyMs: 10 });
  assertEquals((await fetched).got.get(ref.cid), blob.bytes);
  assertEquals(store.gets, []);
});

test("what the owner of the blobs throws ends the download", async () => {
  const store = new Store();
  const refs = store.add(...Array.from({ length: 5 }, (_, at) => makeBlob(at, 30_000)));
  await using client = store.scene.connect();
  const error = await assertRejects(() =>
    client.getBlobs(ledger, refs, () => Promise.reject(new Error("no room")))
  );
  assertEquals(error.message, "no room");
});

test("no more is under way than memory allows", async () => {
  const store = new Store();
  store.scene.session = {
    ...store.scene.session,
    limits: { ...limits, inlineBytes: 0, blobBytes: 1 << 30 },
  };
  const refs = store.add(...Array.from({ length: 12 }, (_, at) => makeBlob(at, 5_000)));
  store.scene.script.getBlobs = ({ blobs = [] }) => ({
    blobs: blobs.flatMap(({ cid }) => {
      const blob = store.blobs.get(cid);
      return blob
        ? [{ ...blob.ref, size: 5_000, digest: blob.digest, url: `/v1/blobs/GET/${cid}` }]
        : [];
    }),
    missing: [],
  });
  await using client = store.scene.connect();
  let held = 0;
  let most = 0;
  const release: (() => void)[] = [];
  const fetched = client.getBlobs(ledger, refs, async () => {
    most = Math.max(most, ++held);
    await new Promise<void>((resolve) => release.push(resolve));
    held--;
  });
  let done = false;
  void fetched.finally(() => done = true);
  await eventually(() => {
    for (const next of release.splice(0)) next();
    assert(done);
  }, { everyMs: 10 });
  assertEquals(most, 4);
});
