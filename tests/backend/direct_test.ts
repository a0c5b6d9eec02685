/** Clients that move blobs at the store itself: believed in nothing, and no worse off without it. */

import { describe, it } from "node:test";
import { assert, assertEquals } from "#assert";
import type { DirectBlobs } from "../../src/backend/stores/direct_blob_store.ts";
import { createMemoryMetaStore } from "../../src/backend/stores/memory.ts";
import type { MetaStore } from "../../src/backend/stores/meta_store.ts";
import type { S3Options } from "../../src/backend/stores/s3_options.ts";
import { connect } from "../../src/client/mod.ts";
import type { DirectRequest } from "../../src/protocol/model.ts";
import { assertFails } from "../harness/assert_fails.ts";
import { freePort } from "../harness/ports.ts";
import { declareOnS3, statusFault } from "../harness/s3_scene.ts";
import { type MadeBlob, makeBlob, makeMeta } from "./support/made.ts";
import { rpc } from "./support/raw_client.ts";
import { startTestBackend } from "./support/test_backend.ts";

const ledger = "acme/todos";
/** The smallest that is never in the database, and one that would go in parts. */
const [small, large] = [(64 << 10) + 1, 9 << 20];

interface HouseOptions {
  readonly metaStore?: MetaStore;
  readonly s3?: Partial<S3Options>;
  /** Largest upload that is signed for the store. @default that of the store */
  readonly maxPutBytes?: number;
}

await declareOnS3("blobs that go to the store directly", (scene) => {
  const { gate } = scene;

  /** A server on a place of its own in the bucket. */
  async function open({ metaStore, s3, maxPutBytes }: HouseOptions = {}) {
    await using opened = new AsyncDisposableStack();
    const blobStore = opened.use(await scene.open({ clientEndpoint: gate.url, ...s3 }));
    const directBlobs: DirectBlobs = {
      maxPutBytes: maxPutBytes ?? blobStore.maxPutBytes,
      presignGet: (key, seconds) => blobStore.presignGet(key, seconds),
      presignPut: (key, seconds) => blobStore.presignPut(key, seconds),
      holds: (key) => blobStore.holds(key),
    };
    const server = opened.use(
      await startTestBackend({ blobStore, directBlobs, ...(metaStore && { metaStore }) }),
    );
    const token = await server.token();
    const opens = opened.move();
    return {
      server,
      token,
      signPut: async ({ ref, digest, bytes }: MadeBlob) => {
        const params = { ledger, method: "PUT", ...ref, digest, size: bytes.length } as const;
        const { direct, ...signed } = await rpc(server.url, token, "signUrl", params);
        assert(direct);
        return { ...signed, direct };
      },
      signGet: ({ ref }: MadeBlob) =>
        rpc(server.url, token, "signUrl", { ledger, method: "GET", ...ref }),
      /** Commits a meta that names a blob, as one that was uploaded. */
      commit: ({ ref, digest, bytes }: MadeBlob) =>
        rpc(server.url, token, "commit", {
          ledger,
          metas: [makeMeta(ref.cid, [ref])],
          blobs: [{ ...ref, digest, size: bytes.length }],
        }),
      heads: async () => (await rpc(server.url, token, "poll", { ledger })).changes.metas.length,
      connect: () => connect({ url: server.url, token }),
      /** Requests for bytes of blobs that the server has answered. */
      passed: () =>
        server.log.flatMap(({ method }) => /blob$/.test(`${method}`) ? [`${method}`] : []),
      [Symbol.asyncDispose]: () => opens.disposeAsync(),
    };
  }

  /** What came to the store: by whom, what, and how many bytes; in no order. */
  const arrived = () =>
    gate.seen.map(({ action, target, bytes }) => {
      const sender = target.includes("X-Amz-Signature") ? "client" : "server";
      return `${sender} ${action} ${bytes}`;
    }).sort();

  describe("a blob that goes to the store directly", () => {
    it("is kept once the server has found it there, whatever its size", async () => {
      await using house = await open();
      const sizes = [0, 1, small, 6 << 20];
      for (const size of sizes) {
        const made = makeBlob(7, size);
        const { direct } = await house.signPut(made);
        const missing = await assertFails("MISSING_BLOBS", () => house.commit(made));
        assertEquals(missing.details?.blobs, [made.ref]);
        assertEquals(await put(direct, made.bytes), 200);
        await house.commit(made);
        const get = await house.signGet(made);
        // Small ones come through the server, which may have them in its database.
        assertEquals(get.direct !== undefined, size >= small);
        for (const { url } of [get, get.direct ?? get]) {
          assertEquals(await bytesAt(url), made.bytes);
        }
      }
      assertEquals(await house.heads(), sizes.length);
    });

    it("is refused by the store when it is not what was signed, and then by the server", async () => {
      await using house = await open();
      const [made, other] = [makeBlob(1, small), makeBlob(2, small)];
      const [{ direct, expiresAt }, ofOther] = [
        await house.signPut(made),
        await house.signPut(other),
      ];
      const edit = (from: string, to: string) => ({ ...direct, url: direct.url.replace(from, to) });
      const { headers } = direct;
      assertEquals([
        await put(direct, other.bytes),
        await put(direct, made.bytes.slice(1)),
        await put(direct, new Uint8Array(0)),
        await put(edit(made.ref.cid, other.ref.cid), made.bytes),
        await put(edit("acme/todos", "acme/other"), made.bytes),
        await put(edit("Expires=900", "Expires=9000"), made.bytes),
        await put({ ...direct, headers: ofOther.direct.headers }, other.bytes),
        await put({ ...direct, headers: {} }, made.bytes),
        await statusOf(direct.url, { headers }),
        await statusOf(direct.url, { method: "DELETE", headers }),
        await statusOf(direct.url, { method: "POST", headers, body: made.bytes }),
      ], [400, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403]);
      assert(expiresAt <= Date.now() + 15 * 60_000);
      await assertFails("MISSING_BLOBS", () => house.commit(made));
      assertEquals(await house.heads(), 0);
    });

    it("is refused by the store after 15 minutes", async () => {
      let lagMs = 0;
      const clock = {
        now: () => Date.now() - lagMs,
        after: (ms: number, callback: () => void) => {
          const timer = setTimeout(callback, ms);
          return () => clearTimeout(timer);
        },
      };
      await using house = await open({ s3: { clock } });
      const made = makeBlob(1, small);
      const committed = makeBlob(2, small);
      assertEquals(await put((await house.signPut(committed)).direct, committed.bytes), 200);
      await house.commit(committed);
      for (const [minutes, status] of [[14, 200], [16, 403]] as const) {
        lagMs = minutes * 60_000;
        const [{ direct }, get] = [await house.signPut(made), await house.signGet(committed)];
        lagMs = 0;
        assertEquals(await put(direct, made.bytes), status);
        assertEquals(await statusOf(get.direct?.url ?? ""), status);
      }
    });

    it("is found by the server that was started since, and stays found", async () => {
      const metaStore = createMemoryMetaStore();
      const s3 = { prefix: "restarted" };
      const made = makeBlob(1, small);
      {
        await using house = await open({ metaStore, s3 });
        assertEquals(await put((await house.signPut(made)).direct, made.bytes), 200);
      }
      {
        await using house = await open({ metaStore, s3 });
        await house.commit(made);
      }
      await using house = await open({ metaStore, s3 });
      assertEquals(await bytesAt((await house.signGet(made)).direct?.url ?? ""), made.bytes);
      // A commit that is repeated changes nothing.
      await house.commit(made);
      assertEquals(await house.heads(), 1);
    });

    it("is not acknowledged while the store cannot be asked", async () => {
      await using house = await open();
      const made = makeBlob(1, small);
      assertEquals(await put((await house.signPut(made)).direct, made.bytes), 200);
      gate.set(({ action }) => action === "HeadObject" ? statusFault(503) : undefined);
      const error = await assertFails("UNAVAILABLE", () => house.commit(made));
      assertEquals([error.retry, error.details?.retryAfterMs], ["later", 2000]);
      assertEquals(await house.heads(), 0);
      gate.set(() => undefined);
      await house.commit(made);
      assertEquals(await house.heads(), 1);
    });

    it("is missing when its object was replaced, and is taken when it was put again", async () => {
      await using house = await open();
      const [made, other] = [makeBlob(1, small), makeBlob(2, small)];
      const { direct } = await house.signPut(made);
      assertEquals(await put(direct, made.bytes), 200);
      // Past the gate, as only somebody with the credentials could.
      const { pathname } = new URL(direct.url);
      await statusOf(scene.server.url + pathname, { method: "PUT", body: other.bytes });
      await assertFails("MISSING_BLOBS", () => house.commit(made));
      assertEquals(await house.heads(), 0);
      assertEquals(await put(direct, made.bytes), 200);
      await house.commit(made);
    });

    it("keeps its first committed bytes, whatever is sent to its URL or under its CID later", async () => {
      await using house = await open();
      const first = makeBlob(1, small);
      const second = { ...makeBlob(2, small), ref: first.ref };
      const [{ direct }, late] = [await house.signPut(first), await house.signPut(second)];
      assertEquals(await put(direct, first.bytes), 200);
      await house.commit(first);
      assertEquals(await put(direct, second.bytes), 400);
      // As devices do that encrypt one plaintext with keys of their own.
      assertEquals(await put(late.direct, second.bytes), 200);
      await house.commit(second);
      const get = await house.signGet(first);
      for (const { url } of [get, get.direct ?? get]) {
        assertEquals(await bytesAt(url), first.bytes);
      }
    });

    it("belongs to its ledger alone", async () => {
      await using house = await open();
      const made = makeBlob(1, small);
      assertEquals(await put((await house.signPut(made)).direct, made.bytes), 200);
      await house.commit(made);
      const { url } = house.server;
      const stranger = await house.server.token("write", ["umbrella/todos"]);
      const params = { ledger, method: "GET", ...made.ref } as const;
      await assertFails("FORBIDDEN", () => rpc(url, stranger, "signUrl", params));
      const own = { ...params, ledger: "umbrella/todos" };
      await assertFails("NOT_FOUND", () => rpc(url, stranger, "signUrl", own));
      const { ref, digest, bytes } = made;
      const named = [{ ...ref, digest, size: bytes.length }];
      await assertFails(
        "MISSING_BLOBS",
        () => rpc(url, stranger, "commit", { ledger: "umbrella/todos", blobs: named }),
      );
      const reader = await house.server.token("read");
      const upload = { ...params, method: "PUT", digest, size: bytes.length } as const;
      await assertFails("FORBIDDEN", () => rpc(url, reader, "signUrl", upload));
    });

    it("is signed for the store only when that takes it in one request", async () => {
      await using house = await open({ maxPutBytes: small });
      const ask = async ({ ref, digest, bytes }: MadeBlob) => {
        const params = { ledger, method: "PUT", ...ref, digest, size: bytes.length } as const;
        return await rpc(house.server.url, house.token, "signUrl", params);
      };
      assert((await ask(makeBlob(1, small))).direct);
      assertEquals((await ask(makeBlob(2, small + 1))).direct, undefined);
      await using client = house.connect();
      const made = makeBlob(3, large);
      await client.commit({ ledger, blobs: [made.upload], metas: [makeMeta("a", [made.ref])] });
      assertEquals(house.passed(), ["PUT blob"]);
      assertEquals(await bytesAt((await house.signGet(made)).direct?.url ?? ""), made.bytes);
    });
  });

  describe("a client of a server whose store it can reach", () => {
    it("moves all but small blobs without the server between, which tells nobody how", async () => {
      await using house = await open();
      await using client = house.connect();
      const blobs = [10, 64 << 10, small, 300_000, large].map((size, at) => makeBlob(at, size));
      const metas = [makeMeta("a", blobs.map(({ ref }) => ref))];
      await client.commit({ ledger, blobs: blobs.map(({ upload }) => upload), metas });
      const direct = [small, 300_000, large];
      assertEquals(
        arrived(),
        direct.flatMap((bytes) => [`client PutObject ${bytes}`, "server HeadObject 0"]).sort(),
      );
      gate.forget();
      const got = new Map<string, Uint8Array>();
      const refs = blobs.map(({ ref }) => ref);
      await client.getBlobs(ledger, refs, ({ cid, bytes }) => void got.set(cid, bytes));
      for (const { ref, bytes } of blobs) assertEquals(got.get(ref.cid), bytes);
      assertEquals(arrived(), direct.map(() => "client GetObject 0"));
      assertEquals(house.passed(), []);
      const log = JSON.stringify(house.server.log);
      assert(log.includes("getBlobs"));
      assert(!/X-Amz|signature/i.test(log));
    });

    it("is told of the store within the budget of its answer", async () => {
      await using house = await open();
      await using client = house.connect();
      const blobs = [makeBlob(1, small), makeBlob(2, small), makeBlob(3, 1000)];
      const refs = blobs.map(({ ref }) => ref);
      await client.commit({ ledger, blobs: blobs.map(({ upload }) => upload) });
      const formsWithin = async (inlineBytes: number) => {
        const answer = await client.call("getBlobs", { ledger, blobs: refs, inlineBytes });
        return answer.blobs.map(({ bytes, direct, url }) => {
          return bytes ? "bytes" : direct && url ? "direct" : url ? "url" : "nothing";
        });
      };
      assertEquals(await formsWithin(1 << 20), ["direct", "direct", "bytes"]);
      assertEquals(await formsWithin(2000), ["direct", "direct", "url"]);
      assertEquals(await formsWithin(1000), ["direct", "url", "url"]);
      assertEquals(await formsWithin(0), ["url", "url", "url"]);
    });
  });

  describe("a client of a server whose store it cannot reach", () => {
    it("moves everything through the server, by itself", async () => {
      const nowhere = `http://127.0.0.1:${await freePort()}`;
      await using house = await open({ s3: { clientEndpoint: nowhere } });
      await using client = house.connect();
      const made = makeBlob(1, large);
      await client.commit({ ledger, blobs: [made.upload], metas: [makeMeta("a", [made.ref])] });
      await client.getBlobs(ledger, [made.ref], ({ bytes }) => assertEquals(bytes, made.bytes));
      assertEquals(house.passed(), ["PUT blob", "GET blob"]);
    });

    it("does so too when the store refuses what was signed", async () => {
      await using house = await open();
      await using client = house.connect();
      gate.set(({ target }) => target.includes("X-Amz-Signature") ? statusFault(403) : undefined);
      const made = makeBlob(1, large);
      await client.commit({ ledger, blobs: [made.upload], metas: [makeMeta("a", [made.ref])] });
      assertEquals(house.passed(), ["PUT blob"]);
    });
  });
});

async function put({ url, headers }: DirectRequest, body: Uint8Array<ArrayBuffer>) {
  return await statusOf(url, { method: "PUT", headers, body });
}

async function statusOf(url: string, init: RequestInit = {}): Promise<number> {
  const answer = await fetch(url, init);
  await answer.arrayBuffer();
  return answer.status;
}

async function bytesAt(url: string): Promise<Uint8Array> {
  const answer = await fetch(url);
  assertEquals(answer.status, 200);
  return new Uint8Array(await answer.arrayBuffer());
}
