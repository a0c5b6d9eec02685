/** Blobs that go to the store itself, and what happens when they do not get there. */

import { test } from "node:test";
import { assert, assertEquals, assertRejects } from "#assert";
import type { Logger } from "../../src/client/mod.ts";
import { HearthError } from "../../src/protocol/errors.ts";
import type { BlobAnswer } from "../../src/protocol/model.ts";
import { type MadeBlob, makeBlob } from "../backend/support/made.ts";
import { eventually } from "../harness/eventually.ts";
import { Scene } from "./support/scripted_server.ts";

const ledger = "acme/todos";
const limits = {
  messageBytes: 100_000,
  inlineBytes: 20_000,
  inlineBlobBytes: 4_000,
  blobBytes: 1_000_000,
};
const signature = "?X-Amz-Signature=secret";
const headers = { "x-amz-checksum-sha256": "made" };

type Answer = () => Response | Promise<Response>;

/** A server that offers two ways for each blob, and what lies at their ends. */
class House {
  readonly scene = new Scene();
  /** `PUT direct CID`, `GET server CID` … in order. */
  readonly requests: string[] = [];
  /** What the next requests to the store meet instead of success. */
  readonly troubles: Answer[] = [];
  readonly warnings: string[] = [];
  readonly #blobs = new Map<string, MadeBlob>();

  constructor(...blobs: readonly MadeBlob[]) {
    const { scene } = this;
    for (const blob of blobs) this.#blobs.set(blob.ref.cid, blob);
    scene.session = { ...scene.session, limits };
    scene.script.commit = () => ({ cursor: "epoch1234.1" });
    scene.script.signUrl = ({ cid, method }) => {
      return { expiresAt: 0, ...waysTo(cid, method === "PUT" ? headers : {}) };
    };
    scene.script.getBlobs = ({ blobs: asked = [] }) => {
      const blobs = asked.flatMap(({ cid }): BlobAnswer[] => {
        const blob = this.#blobs.get(cid);
        return blob
          ? [{ ...blob.ref, size: blob.bytes.length, digest: blob.digest, ...waysTo(cid, {}) }]
          : [];
      });
      return { blobs, missing: [] };
    };
    scene.fetch = async (input, init = {}) => {
      const url = new URL(String(input));
      const { method = "GET" } = init;
      const cid = url.pathname.split("/").at(-1) ?? "";
      const isDirect = url.origin === "https://store.test";
      this.requests.push(`${method} ${isDirect ? "direct" : "server"} ${cid}`);
      assertEquals(init.headers, isDirect && method === "PUT" ? headers : {});
      assertEquals(init.credentials, "omit");
      const trouble = isDirect && this.troubles.shift();
      if (trouble) return await trouble();
      return method === "PUT" ? new Response() : new Response(this.#blobs.get(cid)?.bytes);
    };
  }

  connect() {
    const warn = (message: string) => void this.warnings.push(message);
    const logger: Logger = { debug: () => {}, info: () => {}, warn, error: warn };
    return this.scene.connect({ logger });
  }
}

function waysTo(cid: string, headers: Readonly<Record<string, string>>) {
  return {
    url: `/v1/blobs/${cid}?signature=secret`,
    direct: { url: `https://store.test/bucket/${cid}${signature}`, headers },
  };
}

const blob = makeBlob(1, 30_000);
const { cid } = blob.ref;

/** All that a way can do to a request but take it where it should go. */
const faults: Readonly<Record<string, Answer>> = {
  "no connection, or no CORS": () => {
    throw new TypeError(`error sending request for url (https://store.test/${signature})`);
  },
  "a refusal": () => new Response("<Error/>", { status: 403 }),
  "a missing bucket": () => new Response("<Error/>", { status: 404 }),
  "a store that is too busy": () => new Response("<Error/>", { status: 503 }),
  "a store that knows no checksums": () => new Response("<Error/>", { status: 400 }),
};

test("a blob goes up and down directly, with the headers that were signed and no others", async () => {
  const house = new House(blob);
  await using client = house.connect();
  await client.commit({ ledger, blobs: [blob.upload] });
  const got: Uint8Array[] = [];
  await client.getBlobs(ledger, [blob.ref], ({ bytes }) => void got.push(bytes));
  assertEquals(got, [blob.bytes]);
  assertEquals(house.requests, [`PUT direct ${cid}`, `GET direct ${cid}`]);
});

for (const [name, fault] of Object.entries(faults)) {
  test(`an upload that meets ${name} goes through the server at once`, async () => {
    const house = new House();
    house.troubles.push(fault);
    await using client = house.connect();
    await client.commit({ ledger, blobs: [blob.upload] });
    assertEquals(house.requests, [`PUT direct ${cid}`, `PUT server ${cid}`]);
    assertEquals(house.scene.paramsOf("signUrl").length, 1);
  });
}

const brokenDownloads: Readonly<Record<string, Answer>> = {
  ...faults,
  "other bytes": () => new Response(makeBlob(2, 30_000).bytes),
  "fewer bytes": () => new Response(blob.bytes.slice(1)),
  "more bytes": () => new Response(new Uint8Array(30_001)),
  "an end in the middle": () => {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(blob.bytes.slice(0, 10)),
      pull: (controller) => controller.error(new TypeError(`gone ${signature}`)),
    });
    return new Response(body);
  },
};

for (const [name, fault] of Object.entries(brokenDownloads)) {
  test(`a download that meets ${name} comes through the server at once`, async () => {
    const house = new House(blob);
    house.troubles.push(fault);
    await using client = house.connect();
    const got: Uint8Array[] = [];
    await client.getBlobs(ledger, [blob.ref], ({ bytes }) => void got.push(bytes));
    assertEquals(got, [blob.bytes]);
    assertEquals(house.requests, [`GET direct ${cid}`, `GET server ${cid}`]);
    assertEquals(house.warnings.length, 1);
    assert(!house.warnings[0]?.includes("secret"), house.warnings[0]);
  });
}

test("a store that says nothing is given up", async () => {
  const house = new House(blob);
  house.troubles.push(() => new Promise(() => {}));
  await using client = house.connect();
  let done = false;
  const fetched = client.getBlobs(ledger, [blob.ref], () => {}).finally(() => done = true);
  await eventually(async () => {
    await house.scene.pass(2_000);
    assert(done);
  }, { everyMs: 10 });
  assertEquals(await fetched, []);
  assertEquals(house.requests, [`GET direct ${cid}`, `GET server ${cid}`]);
});

test("what follows goes through the server too, for a while", async () => {
  const house = new House(blob);
  house.troubles.push(() => new Response(null, { status: 403 }));
  await using client = house.connect();
  const commit = () => client.commit({ ledger, blobs: [blob.upload] });
  await commit();
  await commit();
  await client.getBlobs(ledger, [blob.ref], () => {});
  assertEquals(
    house.requests.slice(1),
    Array.from(["PUT", "PUT", "GET"], (it) => {
      return `${it} server ${cid}`;
    }),
  );
  assertEquals(house.warnings.length, 1);
  await house.scene.pass(5 * 60_000, 60_000);
  await commit();
  assertEquals(house.requests.at(-1), `PUT direct ${cid}`);
});

test("when the server fails as well, another attempt is made, through it", async () => {
  const house = new House();
  const { fetch } = house.scene;
  house.troubles.push(() => new Response(null, { status: 503 }));
  let fails = 2;
  house.scene.fetch = async (input, init) => {
    const answer = await fetch(input, init);
    const isServer = String(input).startsWith("http://hearth.test");
    return isServer && fails-- > 0 ? new Response(null, { status: 503 }) : answer;
  };
  await using client = house.connect();
  let done = false;
  const commit = client.commit({ ledger, blobs: [blob.upload] }).finally(() => done = true);
  await eventually(async () => {
    await house.scene.pass(1_000);
    assert(done);
  }, { everyMs: 10 });
  await commit;
  assertEquals(house.requests.map((it) => it.split(" ")[1]), [
    "direct",
    "server",
    "server",
    "server",
  ]);
});

test("a blob that did not arrive where the store said so takes the other way next time", async () => {
  const house = new House();
  const refused = new HearthError("MISSING_BLOBS", "made", { details: { blobs: [blob.ref] } });
  house.scene.script.commit = () => refused;
  await using client = house.connect();
  const error = await assertRejects(() => client.commit({ ledger, blobs: [blob.upload] }));
  assertEquals(error instanceof HearthError && error.code, "MISSING_BLOBS");
  house.scene.script.commit = () => ({ cursor: "epoch1234.1" });
  await client.commit({ ledger, blobs: [blob.upload] });
  assertEquals(house.requests, [`PUT direct ${cid}`, `PUT server ${cid}`]);
});

test("a request that waited for long is signed anew before it is sent", async () => {
  const blobs = Array.from({ length: 5 }, (_, at) => makeBlob(at, 30_000));
  const house = new House(...blobs);
  await using client = house.connect();
  const gates = Array.from({ length: 4 }, () => Promise.withResolvers<void>());
  let taken = 0;
  // Four are under way at once: the fifth begins when the first of them is done.
  const fetched = client.getBlobs(ledger, blobs.map(({ ref }) => ref), async () => {
    await gates[taken++]?.promise;
  });
  await eventually(() => assertEquals(taken, 4), { everyMs: 10 });
  await house.scene.pass(10 * 60_000, 60_000);
  for (const { resolve } of gates) resolve();
  await fetched;
  assertEquals(house.scene.paramsOf("signUrl").map(({ cid }) => cid), [blobs[4]?.ref.cid]);
  assert(house.requests.every((it) => it.startsWith("GET direct ")), `${house.requests}`);
});
