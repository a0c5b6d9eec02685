/** What every BlobStore must do, wherever it keeps the bytes. */

import { describe, it } from "node:test";
import { assertEquals, assertRejects } from "#assert";
import type { BlobKey, BlobStore } from "../../src/backend/stores/blob_store.ts";
import { HearthError } from "../../src/protocol/errors.ts";
import { keyOf, utf8 } from "./fixtures.ts";

/** Declares the suite. @param open makes an empty store */
export function blobStoreSuite(name: string, open: () => Promise<BlobStore>): void {
  describe(`${name} as BlobStore`, () => {
    keeping(open);
    refusing(open);
  });
}

type Open = () => Promise<BlobStore>;

/** More than any piece that a store reads at once. */
const large = Uint8Array.from({ length: 300_000 }, (_, at) => at % 251);

function keeping(open: Open): void {
  it("gives back what was put", async () => {
    await using store = await open();
    for (const bytes of [large, utf8("small"), new Uint8Array(0), large.subarray(0, 65_536)]) {
      const key = keyOf("a", bytes);
      assertEquals(await store.has(key), false);
      assertEquals(await store.get(key), undefined);
      await store.put(key, pieces(bytes, 1000));
      assertEquals(await store.has(key), true);
      assertEquals(await readBlob(store, key), bytes);
    }
  });

  it("leaves a blob that is there as it is", async () => {
    await using store = await open();
    const key = keyOf("a", large);
    await store.put(key, pieces(large));
    await store.put(key, pieces(large));
    assertEquals(await readBlob(store, key), large);
  });

  it("keeps blobs of other names, digests and ledgers apart, also by case", async () => {
    await using store = await open();
    const [one, two] = [utf8("one"), utf8("two")];
    const keys = [
      keyOf("a", one),
      keyOf("a", two),
      keyOf("b", one),
      keyOf("a", one, { store: "file" }),
      keyOf("a", one, { ledger: "acme/Todos" }),
      keyOf("a", one, { ledger: "acme/todos." }),
      keyOf("a", one, { ledger: "Acme/todos" }),
    ];
    for (const [at, key] of keys.entries()) {
      assertEquals(await store.has(key), false);
      await store.put(key, pieces(at === 1 ? two : one));
    }
    await store.delete(keyOf("a", one));
    const left = await Promise.all(keys.map((key) => store.has(key)));
    assertEquals(left, [false, true, true, true, true, true, true]);
  });

  it("settles a race of puts of one blob", async () => {
    await using store = await open();
    const key = keyOf("a", large);
    await Promise.all(Array.from({ length: 50 }, () => store.put(key, pieces(large, 50_000))));
    assertEquals(await readBlob(store, key), large);
  });

  it("serves readers side by side, also one that stops early", async () => {
    await using store = await open();
    const key = keyOf("a", large);
    await store.put(key, pieces(large, 10_000));
    const impatient = await store.get(key);
    for await (const _ of impatient ?? []) break;
    const read = await Promise.all([readBlob(store, key), readBlob(store, key)]);
    assertEquals(read, [large, large]);
  });

  it("removes a blob, if it is there", async () => {
    await using store = await open();
    const key = keyOf("a", utf8("a"));
    await store.delete(key);
    await store.put(key, pieces(utf8("a")));
    await store.delete(key);
    assertEquals(await store.has(key), false);
    assertEquals(await store.get(key), undefined);
    await store.put(key, pieces(utf8("a")));
    assertEquals(await readBlob(store, key), utf8("a"));
  });
}

function refusing(open: Open): void {
  it("refuses bytes that are not those of the key, and keeps none of them", async () => {
    await using store = await open();
    const key = keyOf("a", utf8("right"));
    for (const wrong of ["wrong", "righ", "right!", ""]) {
      const error = await assertRejects(() => store.put(key, pieces(utf8(wrong), 2)));
      assertEquals(error instanceof HearthError && error.code, "DIGEST_MISMATCH");
      assertEquals(await store.has(key), false);
    }
    await store.put(key, pieces(utf8("right"), 2));
    assertEquals(await readBlob(store, key), utf8("right"));
  });

  it("stops reading once more bytes came than the key says", async () => {
    await using store = await open();
    let taken = 0;
    let isEnded = false;
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        while (true) {
          taken++;
          yield await Promise.resolve(new Uint8Array(1000));
        }
      } finally {
        isEnded = true;
      }
    }
    const error = await assertRejects(() => store.put(keyOf("a", new Uint8Array(2500)), endless()));
    assertEquals(error instanceof HearthError && error.code, "DIGEST_MISMATCH");
    assertEquals([taken, isEnded], [3, true]);
  });

  it("passes on the fault of a body that breaks off, and keeps nothing of it", async () => {
    await using store = await open();
    const key = keyOf("a", large);
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield* pieces(large.subarray(0, 100_000), 10_000);
      throw new RangeError("the link broke");
    }
    const error = await assertRejects(() => store.put(key, broken()));
    assertEquals(error.message, "the link broke");
    assertEquals(await store.has(key), false);
    await store.put(key, pieces(large));
    assertEquals(await readBlob(store, key), large);
  });
}

/** A body of pieces of so many bytes. */
export async function* pieces(
  bytes: Uint8Array,
  size = bytes.length || 1,
): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) {
    yield await Promise.resolve(bytes.subarray(at, at + size));
  }
}

/** All bytes of a blob; nothing when it is not there. */
export async function readBlob(store: BlobStore, key: BlobKey): Promise<Uint8Array | undefined> {
  const body = await store.get(key);
  if (!body) return undefined;
  const all: number[] = [];
  for await (const piece of body) {
    for (const byte of piece) all.push(byte);
  }
  return Uint8Array.from(all);
}
