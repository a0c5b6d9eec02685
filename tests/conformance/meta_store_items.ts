/** How a MetaStore that several servers may use counts the keys and blobs of a ledger. */

import { describe, it } from "node:test";
import { assertEquals } from "#assert";
import type { MetaStore } from "../../src/backend/stores/meta_store.ts";
import { blobOf, commitOf, ledger, putOf } from "./fixtures.ts";
import { done } from "./outcomes.ts";

/** Declares the suite. @param open makes an empty store */
export function metaStoreItemsSuite(name: string, open: () => Promise<MetaStore>): void {
  describe(`${name} as MetaStore that counts`, () => {
    it("tells with each commit how many keys and blobs there have been", async () => {
      await using store = await open();
      const batches = [
        [putOf("a", { keys: ["k", "l"] }), commitOf({ keys: ["l", "m"] })],
        [putOf("a", { keys: ["k"] }), commitOf({ ledger: "other/todos", keys: ["n"] })],
        [commitOf({ blobs: [blobOf("b")] })],
        [putOf("b", { retires: [blobOf("a")] })],
      ];
      const counts: (readonly unknown[])[] = [];
      for (const batch of batches) {
        counts.push((await store.commit(batch)).map((it) => done(it).items));
      }
      assertEquals(counts, [[3, 4], [4, 1], [5], [5]]);
    });

    it("counts in a page that reaches the head, unless keys came alone since", async () => {
      await using store = await open();
      const itemsOf = async (afterSeq: number, limit: number) =>
        (await store.log(ledger, afterSeq, limit)).items;
      await store.commit([putOf("a", { keys: ["k"] }), putOf("b")]);
      assertEquals([await itemsOf(0, 2), await itemsOf(2, 2), await itemsOf(0, 1)], [
        3,
        3,
        undefined,
      ]);
      await store.commit([commitOf({ keys: ["alone"] })]);
      assertEquals([await itemsOf(0, 2), await itemsOf(2, 2)], [undefined, undefined]);
      await store.commit([putOf("c")]);
      assertEquals([await itemsOf(0, 3), await itemsOf(3, 3)], [5, 5]);
    });
  });
}
