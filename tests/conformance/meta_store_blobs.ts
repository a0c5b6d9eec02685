/** What every MetaStore must do with blobs: first bytes stay, and the inventory is what is in use. */

import { it } from "node:test";
import { assertEquals } from "#assert";
import type { MetaStore, NewBlob } from "../../src/backend/stores/meta_store.ts";
import { blobOf, cidOf, commitOf, largeBlobOf, ledger, metaOf, putOf, refOf } from "./fixtures.ts";
import { commitOne, done, named } from "./outcomes.ts";

/** Declares the tests. @param open makes an empty store */
export function metaStoreBlobTests(open: () => Promise<MetaStore>): void {
  it("keeps the bytes of the first commit that names a blob", async () => {
    await using store = await open();
    const first = blobOf("a", "first");
    const outcomes = await store.commit([
      commitOf({ blobs: [first] }),
      commitOf({ blobs: [blobOf("a", "second")], metas: [metaOf("m", [refOf("a")])] }),
    ]);
    assertEquals(outcomes.map((it) => done(it).blobs), [[first], []]);
    assertEquals(await store.findBlobs(ledger, [refOf("a")]), [first]);
  });

  it("finds blobs in the order asked, their bytes only when wanted", async () => {
    await using store = await open();
    const large = largeBlobOf("large", 1 << 20);
    const empty = blobOf("empty", "");
    await commitOne(store, commitOf({ blobs: [blobOf("a"), large, empty] }));
    const refs = [empty, large, refOf("absent"), refOf("a", "file"), refOf("a")];
    assertEquals(await store.findBlobs(ledger, refs), [empty, large, blobOf("a")]);
    const { bytes: _, ...bare } = blobOf("a");
    const unread = { ...bare, unread: true } as const;
    assertEquals(await store.findBlobs(ledger, [refOf("a")], { maxBytes: 0 }), [unread]);
    const none = { ...describe(empty), unread: true } as const;
    assertEquals(await store.findBlobs(ledger, refs, { maxBytes: 0 }), [none, large, unread]);
    assertEquals(await store.findBlobs("acme/none", refs), []);
  });

  it("reads bytes in the order asked, up to the first that does not fit in", async () => {
    await using store = await open();
    const large = largeBlobOf("large", 1 << 20);
    const [a, b, c, d] = [
      blobOf("a", "x".repeat(10)),
      blobOf("b", "x".repeat(20)),
      blobOf("c", "x".repeat(30)),
      blobOf("d", "x"),
    ];
    await commitOne(store, commitOf({ blobs: [d, c, large, b, a] }));
    const unread = (blob: NewBlob) => ({ ...describe(blob), unread: true as const });
    const refs = [a, large, b, c, d];
    const found = (maxBytes: number) => store.findBlobs(ledger, refs, { maxBytes });
    assertEquals(await found(61), [a, large, b, c, d]);
    assertEquals(await found(60), [a, large, b, c, unread(d)]);
    const empty = blobOf("empty", "");
    await commitOne(store, commitOf({ blobs: [empty] }));
    const exactly = await store.findBlobs(ledger, [a, b, c, empty, d], { maxBytes: 60 });
    assertEquals(exactly, [a, b, c, empty, unread(d)]);
    assertEquals(await found(59), [a, large, b, unread(c), unread(d)]);
    assertEquals(await found(9), [unread(a), large, unread(b), unread(c), unread(d)]);
  });

  it("lists the cars in use, newest first", async () => {
    await using store = await open();
    await commitOne(store, commitOf({ blobs: [blobOf("a"), blobOf("f", "f", "file")] }));
    await commitOne(store, commitOf({ blobs: [blobOf("b", "bb"), largeBlobOf("c", 9)] }));
    const all = [
      { ...refOf("c"), size: 9 },
      { ...refOf("b"), size: 2 },
      { ...refOf("a"), size: 1 },
    ];
    assertEquals(await store.inventory(ledger, 10), all);
    assertEquals(await store.inventory(ledger, 2), all.slice(0, 2));
    assertEquals(await store.inventory("acme/none", 2), []);
  });

  it("lists all blobs of a store in pages that meet, newest first, whether in use or not", async () => {
    await using store = await open();
    await commitOne(store, commitOf({ blobs: [blobOf("a"), blobOf("f", "f", "file")] }));
    await commitOne(store, commitOf({ blobs: [blobOf("b", "bb"), largeBlobOf("c", 9)] }));
    await commitOne(store, putOf("d", { retires: [refOf("a"), refOf("c")] }));
    await commitOne(store, putOf("foreign", { ledger: "acme/notes" }));
    const all = [
      { ...refOf("d"), size: 1 },
      { ...refOf("c"), size: 9 },
      { ...refOf("b"), size: 2 },
      { ...refOf("a"), size: 1 },
    ];
    assertEquals(await store.listBlobs(ledger, "car", 10), all);
    assertEquals(await store.listBlobs(ledger, "car", 3), all.slice(0, 3));
    assertEquals(await store.listBlobs(ledger, "car", 2, cidOf("d")), all.slice(1, 3));
    assertEquals(await store.listBlobs(ledger, "car", 2, cidOf("b")), all.slice(3));
    assertEquals(await store.listBlobs(ledger, "car", 2, cidOf("a")), []);
    assertEquals(await store.listBlobs(ledger, "file", 2), [{ ...refOf("f", "file"), size: 1 }]);
    assertEquals(await store.listBlobs("acme/none", "car", 2), []);
  });

  it("lists no blobs before one that the ledger does not hold in that store", async () => {
    await using store = await open();
    await store.commit([putOf("a"), putOf("foreign", { ledger: "acme/notes" })]);
    assertEquals(await store.listBlobs(ledger, "car", 10, cidOf("absent")), undefined);
    assertEquals(await store.listBlobs(ledger, "car", 10, cidOf("foreign")), undefined);
    assertEquals(await store.listBlobs(ledger, "file", 10, cidOf("a")), undefined);
    assertEquals(await store.listBlobs("acme/none", "car", 10, cidOf("a")), undefined);
  });

  it("moves no page when blobs come or leave the inventory meanwhile", async () => {
    await using store = await open();
    await store.commit([putOf("a"), putOf("b"), putOf("c")]);
    assertEquals((await store.listBlobs(ledger, "car", 1))?.map(({ cid }) => cid), named("c"));
    await commitOne(store, putOf("d", { retires: [refOf("a"), refOf("c")] }));
    const rest = await store.listBlobs(ledger, "car", 10, cidOf("c"));
    assertEquals(rest?.map(({ cid }) => cid), named("b", "a"));
    await commitOne(store, commitOf({ metas: [metaOf("e", [refOf("a")])] }));
    assertEquals(await store.listBlobs(ledger, "car", 10, cidOf("c")), rest);
  });

  it("takes retired blobs out of the inventory and keeps them readable", async () => {
    await using store = await open();
    await commitOne(store, commitOf({ blobs: [blobOf("a"), blobOf("b")] }));
    const retires = [refOf("a"), refOf("new"), refOf("absent")];
    await commitOne(store, putOf("new", { retires }));
    assertEquals(await inventory(store), named("b"));
    assertEquals((await store.findBlobs(ledger, [refOf("a"), refOf("new")])).length, 2);
  });

  it("brings a retired blob back when a new meta names it, and a repeat does not undo that", async () => {
    await using store = await open();
    await commitOne(store, putOf("a"));
    const retiring = putOf("b", { retires: [refOf("a")] });
    await commitOne(store, retiring);
    assertEquals(await inventory(store), named("b"));
    await commitOne(store, putOf("a"));
    assertEquals(await inventory(store), named("b"), "a repeat names nothing afresh");
    await commitOne(store, commitOf({ metas: [metaOf("c", [refOf("a")])] }));
    assertEquals(await inventory(store), named("b", "a"));
    await commitOne(store, retiring);
    assertEquals(await inventory(store), named("b", "a"));
    const both = commitOf({ metas: [metaOf("d", [refOf("a")])], retires: [refOf("a")] });
    await commitOne(store, both);
    assertEquals(await inventory(store), named("b"));
  });
}

async function inventory(store: MetaStore): Promise<readonly string[]> {
  return (await store.inventory(ledger, 10)).map(({ cid }) => cid);
}

function describe({ bytes: _, ...rest }: NewBlob): NewBlob {
  return rest;
}
