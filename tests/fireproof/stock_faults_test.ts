/** The real stock client where something goes wrong, or could cost much; the server is in this process. */

import { cp } from "node:fs/promises";
import { test } from "node:test";
import { assert, assertEquals } from "#assert";
import { createMemoryBlobStore, createMemoryMetaStore } from "../../src/backend/stores/memory.ts";
import type { BlobStore } from "../../src/backend/stores/blob_store.ts";
import { HearthError } from "../../src/protocol/errors.ts";
import { createFireproofVerifier } from "../../src/sts/fireproof_verify.ts";
import { issueFireproofToken } from "../../src/sts/issue.ts";
import { generateJwk, importKey } from "../../src/sts/keys.ts";
import { startTestBackend } from "../backend/support/test_backend.ts";
import { type Device, diskPlace, localDevice, startDevice } from "../harness/device.ts";
import { eventually } from "../harness/eventually.ts";
import { makeTempFolder } from "../harness/temp_folder.ts";
import { countWrites } from "../backend/fireproof/support/count_writes.ts";
import { docsOf, have, hear, idsOf, long, patient } from "./scene.ts";

const ledger = "acme/todos";
const key = await importKey(await generateJwk());

test(
  "a stock client that uploads the history of 300 commits again has none of it stored anew",
  long,
  async () => {
    const { writes, metaStore, blobStore } = countWrites();
    await using stock = await startStock({ metaStore, blobStore });
    await using folder = await makeTempFolder();
    const ids = idsOf("doc", 300);
    {
      await using offline = await startDevice(diskPlace(`${folder.path}/once`));
      await offline.put({ docs: docsOf(...ids) });
    }
    // The same database as it was before its first attach: it uploads all that it has.
    await cp(`${folder.path}/once`, `${folder.path}/again`, { recursive: true });
    {
      await using once = await startDevice(diskPlace(`${folder.path}/once`));
      await stock.join(once);
      await stock.quiet(writes);
    }
    const uploads = stock.uploads();
    // Fireproof has compacted what goes beyond a hundred commits.
    assert(uploads >= 50 && writes.length > 2, `${uploads} uploads, ${writes.length} writes`);
    writes.length = 0;
    await using again = await startDevice(diskPlace(`${folder.path}/again`));
    await stock.join(again);
    await stock.quiet(writes);
    const count = stock.uploads() - uploads;
    // The client makes one commit at each attach, whose car and head nobody has had.
    assert(count >= uploads - 2 && writes.length <= 2, `${count} uploads: ${writes}`);
  },
);

test("several databases of one process on one ledger hear each other", patient, async () => {
  await using stock = await startStock();
  await using a = await localDevice();
  await using b = await localDevice();
  await using elsewhere = await startDevice();
  for (const device of [a, b, elsewhere]) await stock.join(device);
  await a.put({ docs: docsOf("from-a") });
  await hear([b, elsewhere], ["from-a"]);
  await b.put({ docs: docsOf("from-b") });
  await hear([a, elsewhere], ["from-b"]);
  await elsewhere.put({ docs: docsOf("from-elsewhere") });
  await have([a, b, elsewhere], ["from-a", "from-b", "from-elsewhere"]);
});

test(
  "a car whose upload failed once spoils no reader, and all agree when its device attaches anew",
  patient,
  async () => {
    const metaStore = createMemoryMetaStore();
    const { blobStore, holdNext } = holdLargeBlobs();
    await using stock = await startStock({ metaStore, blobStore });
    await using folder = await makeTempFolder();
    const place = diskPlace(`${folder.path}/writer`);
    await using reader = await startDevice();
    await using other = await startDevice();
    for (const device of [reader, other]) await stock.join(device);
    {
      const writer = await startDevice(place);
      await stock.join(writer);
      await writer.put({ docs: docsOf("before") });
      await have([reader], ["before"]);
      const fault = new HearthError("UNAVAILABLE", "Cannot store: the test forbids it");
      const refused = holdNext(() => Promise.reject(fault));
      await writer.bulk({ ids: ["lost"], bytesEach });
      await refused;
      await writer.put({ docs: docsOf("behind") });
      await eventually(async () => assert((await metaStore.heldMetas(ledger)).length >= 2));
      // Others write on, and hear each other, and nothing of what is not whole.
      await other.put({ docs: docsOf("other") });
      await have([reader, other], ["before", "other"]);
      // The client does not catch the failure of its upload: its process has noted it as a fault.
      await writer.kill();
    }
    await using again = await startDevice(place);
    await stock.join(again);
    await have([reader, other, again], ["before", "behind", "lost", "other"]);
    assertEquals(await metaStore.heldMetas(ledger), []);
  },
);

test("a car that is late keeps its head back, and then both arrive", patient, async () => {
  const { blobStore, holdNext } = holdLargeBlobs();
  await using stock = await startStock({ blobStore });
  await using writer = await startDevice();
  await using reader = await startDevice();
  await using other = await startDevice();
  for (const device of [writer, reader, other]) await stock.join(device);
  await writer.put({ docs: docsOf("before") });
  await have([reader], ["before"]);
  const { promise, resolve } = Promise.withResolvers<void>();
  const held = holdNext(() => promise);
  await writer.bulk({ ids: ["late"], bytesEach });
  await held;
  await other.put({ docs: docsOf("other") });
  await have([reader, other], ["before", "other"]);
  resolve();
  await have([writer, reader, other], ["before", "late", "other"]);
});

/** Cars of so much go to the blob store, and not through the queue of commits. */
const bytesEach = 100_000;
/** Options of {@linkcode startStock}. */
type Stores = Partial<
  Pick<Parameters<typeof startTestBackend>[0] & object, "metaStore" | "blobStore">
>;

/** A server with the stock client's door open, and devices for it. */
async function startStock(stores: Stores = {}) {
  const backend = await startTestBackend({
    verifyFireproof: createFireproofVerifier({ own: key }),
    ...stores,
  });
  const issuedAt = Date.now();
  const token = await issueFireproofToken(key, {
    subject: "alice",
    tenant: "acme",
    ledgers: ["todos"],
    right: "write",
    issuedAt,
    expiresAt: issuedAt + 3_600_000,
  });
  const uploads = () => backend.log.filter((line) => line["method"] === "reqPutData").length;
  return {
    join: (device: Device): Promise<unknown> => {
      const url = backend.url.replace(/^http:/, "fpcloud:");
      return device.attachStock({ url: `${url}?protocol=ws`, token });
    },
    /** How many URLs for uploads were asked for. */
    uploads,
    /** Waits until nothing is asked or written any more. */
    quiet: async (writes: readonly string[]): Promise<void> => {
      let [before, since] = ["", 0];
      await eventually(() => {
        const now = `${uploads()} ${writes.length}`;
        since = now === before ? since + 1 : 0;
        before = now;
        assert(since >= quietLooks, `still at work: ${now}`);
      }, { timeoutMs: 60_000, everyMs: 100 });
    },
    [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose](),
  };
}

/** So many looks without anything new: the client's own pauses are shorter. */
const quietLooks = 20;

/** A blob store whose next upload can be made to wait, or to fail. */
function holdLargeBlobs() {
  const store = createMemoryBlobStore();
  let next: { readonly wait: () => Promise<void>; readonly come: () => void } | undefined;
  const blobStore: BlobStore = {
    put: async (key, body) => {
      const held = next;
      next = undefined;
      held?.come();
      await held?.wait();
      return await store.put(key, body);
    },
    has: (key) => store.has(key),
    get: (key) => store.get(key),
    delete: (key) => store.delete(key),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
  return {
    blobStore,
    /** Resolves when it has come. */
    holdNext: (wait: () => Promise<void>): Promise<void> =>
      new Promise((come) => {
        next = { wait, come };
      }),
  };
}
