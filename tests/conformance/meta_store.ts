/** What every MetaStore must do, whatever it keeps its rows in. */

import { describe, it } from "node:test";
import { assertEquals, assertMatch, assertNotEquals } from "#assert";
import type { MetaStore } from "../../src/backend/stores/meta_store.ts";
import { blobOf, cidOf, commitOf, ledger, metaOf, putOf, refOf } from "./fixtures.ts";
import { metaStoreBlobTests } from "./meta_store_blobs.ts";
import { metaStoreHeldTests } from "./meta_store_held.ts";
import { metaStoreModelTest } from "./meta_store_model.ts";
import { metaStoreWalTests } from "./meta_store_wal.ts";
import { commitOne, done, named, names, seqOf } from "./outcomes.ts";

/** Declares the suite. @param open makes an empty store */
export function metaStoreSuite(name: string, open: () => Promise<MetaStore>): void {
  describe(`${name} as MetaStore`, () => {
    commits(open);
    heads(open);
    reading(open);
    metaStoreBlobTests(open);
    metaStoreHeldTests(open);
    metaStoreWalTests(open);
    metaStoreModelTest(open);
  });
}

type Open = () => Promise<MetaStore>;

function commits(open: Open): void {
  it("names its history", async () => {
    await using one = await open();
    await using other = await open();
    assertMatch(one.epoch, /^[a-z0-9]{16}$/);
    assertNotEquals(one.epoch, other.epoch);
  });

  it("numbers the metas of a ledger 1, 2, 3 … in the order of commits", async () => {
    await using store = await open();
    const two = commitOf({ metas: [metaOf("b"), metaOf("c")] });
    const outcomes = await store.commit([putOf("a"), two]);
    assertEquals(outcomes.map(seqOf), [1, 3]);
    assertEquals(done(outcomes[1]).fresh, two.metas);
    assertEquals(await commitOne(store, putOf("d")).then(seqOf), 4);
    assertEquals(await store.bounds(ledger), { floor: 0, head: 4 });
    assertEquals(names(await store.log(ledger, 0, 10)), named("a", "b", "c", "d"));
  });

  it("creates a ledger only when the commit may", async () => {
    await using store = await open();
    const refused = await store.commit([putOf("a", { create: false }), putOf("b")]);
    assertEquals(refused.map((it) => it.kind), ["unknown-ledger", "done"]);
    assertEquals(await commitOne(store, putOf("c", { create: false })).then(seqOf), 2);
    assertEquals(names(await store.log(ledger, 0, 10)), named("b", "c"));
  });

  it("refuses a commit that names blobs which are not stored, and keeps nothing of it", async () => {
    await using store = await open();
    await commitOne(store, putOf("old"));
    const brought = blobOf("brought");
    const refused = commitOf({
      blobs: [brought],
      metas: [metaOf("new", [refOf("absent"), brought, refOf("old"), refOf("absent")])],
      keys: ["key"],
      supersedes: [cidOf("old")],
      retires: [refOf("old")],
    });
    const outcomes = await store.commit([putOf("before"), refused, putOf("after")]);
    assertEquals(outcomes[1], { kind: "missing", blobs: [refOf("absent")] });
    assertEquals([seqOf(outcomes[0]), seqOf(outcomes[2])], [2, 3]);
    assertEquals(names(await store.heads(ledger)), named("old", "before", "after"));
    assertEquals((await store.heads(ledger)).keys, []);
    assertEquals(await store.findBlobs(ledger, [brought]), []);
    assertEquals((await store.inventory(ledger, 10)).length, 3);
  });

  it("creates no ledger for a commit that is refused", async () => {
    await using store = await open();
    const outcome = await commitOne(store, commitOf({ metas: [metaOf("a", [refOf("absent")])] }));
    assertEquals(outcome.kind, "missing");
    assertEquals(await store.bounds(ledger), undefined);
  });

  it("answers a repeated commit as the first time and changes nothing", async () => {
    await using store = await open();
    const first = putOf("a", { keys: ["key"] });
    assertEquals((await store.commit([first, first])).map(seqOf), [1, 1]);
    await commitOne(store, putOf("b"));
    const repeated = done(await commitOne(store, first));
    assertEquals(repeated, { kind: "done", seq: 1, fresh: [], keys: [], blobs: [] });
    assertEquals(await store.bounds(ledger), { floor: 0, head: 2 });
  });

  it("takes what is new of a commit that is known in part", async () => {
    await using store = await open();
    await commitOne(store, putOf("a"));
    const blob = blobOf("late");
    const metas = [metaOf("new"), metaOf("a", [refOf("a")]), metaOf("new")];
    const outcome = done(await commitOne(store, commitOf({ metas, keys: ["k"], blobs: [blob] })));
    assertEquals(outcome, {
      kind: "done",
      seq: 2,
      fresh: [metaOf("new")],
      keys: ["k"],
      blobs: [blob],
    });
    const repeat = commitOf({ metas: [metaOf("a")], keys: ["k", "l"], blobs: [blobOf("later")] });
    const merged = done(await commitOne(store, repeat));
    assertEquals(merged, {
      kind: "done",
      seq: 1,
      fresh: [],
      keys: ["l"],
      blobs: [blobOf("later")],
    });
  });

  it("keeps a meta byte for byte", async () => {
    await using store = await open();
    const plain = { ...metaOf("plain"), parents: [], data: new Uint8Array(0) };
    const bytes = Uint8Array.from({ length: 256 }, (_, at) => at);
    const file = blobOf("file", "file", "file");
    const rich = { ...metaOf("rich", [refOf("a"), file]), data: bytes.subarray(3, 200) };
    await commitOne(store, commitOf({ blobs: [blobOf("a"), file], metas: [plain, rich] }));
    assertEquals((await store.log(ledger, 0, 10)).metas, [plain, rich]);
    assertEquals((await store.heads(ledger)).metas, [plain, rich]);
  });

  it("takes commits of several ledgers at once and keeps them apart", async () => {
    await using store = await open();
    const ledgers = ["acme/todos", "acme/notes", "other/todos", "Acme/todos"];
    const outcomes = await store.commit(
      ledgers.map((it) => putOf("a", { ledger: it, keys: [it] })),
    );
    assertEquals(outcomes.map(seqOf), [1, 1, 1, 1]);
    for (const it of ledgers) assertEquals((await store.heads(it)).keys, [it]);
    const foreign = commitOf({ ledger: "acme/third", metas: [metaOf("b", [refOf("a")])] });
    assertEquals((await commitOne(store, foreign)).kind, "missing");
    await store.deleteMetas("acme/todos", [cidOf("a")]);
    assertEquals(names(await store.heads("acme/notes")), named("a"));
  });
}

function heads(open: Open): void {
  it("takes superseded metas out of the heads and keeps them in the log", async () => {
    await using store = await open();
    await store.commit([putOf("a"), putOf("b"), putOf("c")]);
    const supersedes = [cidOf("a"), cidOf("c"), cidOf("unknown")];
    await commitOne(store, putOf("d", { supersedes }));
    assertEquals(names(await store.heads(ledger)), named("b", "d"));
    assertEquals(names(await store.log(ledger, 0, 10)), named("a", "b", "c", "d"));
  });

  it("lets a commit supersede neither itself, nor later metas, nor those of other ledgers", async () => {
    await using store = await open();
    const late = putOf("a", { supersedes: [cidOf("a"), cidOf("b")] });
    await store.commit([late, putOf("b"), putOf("a", { ledger: "acme/notes" }), late]);
    await commitOne(store, commitOf({ supersedes: [cidOf("a")] }));
    assertEquals(names(await store.heads(ledger)), named("a", "b"));
    await commitOne(store, putOf("c", { supersedes: [cidOf("a")] }));
    assertEquals(names(await store.heads("acme/notes")), named("a"));
  });

  it("takes deleted metas out of heads and log, at a seq of its own that is the new floor", async () => {
    await using store = await open();
    await store.commit([putOf("a"), putOf("b"), putOf("c")]);
    assertEquals(await store.deleteMetas(ledger, [cidOf("unknown"), cidOf("b")]), 4);
    assertEquals(await store.bounds(ledger), { floor: 4, head: 4 });
    assertEquals(names(await store.heads(ledger)), named("a", "c"));
    assertEquals(names(await store.log(ledger, 0, 10)), named("a", "c"));
    assertEquals((await store.heads(ledger)).seq, 4);
    assertEquals(await commitOne(store, putOf("d")).then(seqOf), 5);
    const page = await store.log(ledger, 4, 10);
    assertEquals([names(page), page.seq, page.floor], [named("d"), 5, 4]);
  });

  it("changes nothing when there is nothing to delete", async () => {
    await using store = await open();
    await store.commit([putOf("a"), putOf("b")]);
    assertEquals(await store.deleteMetas(ledger, [cidOf("a")]), 3);
    assertEquals(await store.deleteMetas(ledger, [cidOf("a"), cidOf("unknown")]), 3);
    assertEquals(await store.deleteMetas(ledger, []), 3);
    assertEquals(await store.deleteMetas("acme/none", [cidOf("a")]), 0);
    assertEquals(await store.bounds("acme/none"), undefined);
  });

  it("does not bring a deleted meta back when its commit is repeated", async () => {
    await using store = await open();
    await store.commit([putOf("a"), putOf("b")]);
    await store.deleteMetas(ledger, [cidOf("a")]);
    assertEquals(done(await commitOne(store, putOf("a"))).fresh, []);
    assertEquals(names(await store.heads(ledger)), named("b"));
  });
}

function reading(open: Open): void {
  it("reads the log in pages that meet", async () => {
    await using store = await open();
    const all = ["a", "b", "c", "d", "e"];
    await store.commit(all.map((it) => putOf(it, { keys: [`key ${it}`, "key of all"] })));
    const first = await store.log(ledger, 0, 2);
    assertEquals([names(first), first.seq, first.more], [named("a", "b"), 2, true]);
    assertEquals(first.keys, ["key a", "key of all", "key b"]);
    const second = await store.log(ledger, first.seq, 2);
    assertEquals([names(second), second.seq, second.more], [named("c", "d"), 4, true]);
    assertEquals(second.keys, ["key c", "key d"]);
    const third = await store.log(ledger, second.seq, 2);
    assertEquals([names(third), third.seq, third.more], [named("e"), 5, false]);
    const exact = await store.log(ledger, 3, 2);
    assertEquals([names(exact), exact.seq, exact.more], [named("d", "e"), 5, false]);
    const { items: _, ...none } = await store.log(ledger, 5, 2);
    assertEquals(none, { metas: [], keys: [], seq: 5, more: false, floor: 0 });
  });

  it("hands out keys that came without a meta at the head, and with the next one", async () => {
    await using store = await open();
    await commitOne(store, putOf("a"));
    const alone = done(await commitOne(store, commitOf({ keys: ["k", "k"] })));
    assertEquals([alone.seq, alone.fresh, alone.keys], [1, [], ["k"]]);
    assertEquals((await store.heads(ledger)).keys, ["k"]);
    assertEquals((await store.log(ledger, 1, 10)).keys, ["k"]);
    await commitOne(store, putOf("b", { keys: ["k"] }));
    assertEquals((await store.log(ledger, 1, 10)).keys, ["k"]);
    assertEquals((await store.log(ledger, 2, 10)).keys, []);
    assertEquals((await store.log(ledger, 0, 1)).keys, []);
  });

  it("creates the ledger for keys or blobs alone", async () => {
    await using store = await open();
    const outcome = await commitOne(store, commitOf({ keys: ["k"], blobs: [blobOf("a")] }));
    assertEquals(seqOf(outcome), 0);
    assertEquals(await store.bounds(ledger), { floor: 0, head: 0 });
    assertEquals(await store.heads(ledger), { metas: [], keys: ["k"], seq: 0 });
  });

  it("tells the bounds of several ledgers at once, of those that exist", async () => {
    await using store = await open();
    await store.commit([putOf("a"), putOf("b"), putOf("a", { ledger: "acme/notes" })]);
    await store.deleteMetas(ledger, [cidOf("a")]);
    await commitOne(store, putOf("a", { ledger: "other/todos" }));
    const found = await store.boundsOf([ledger, "acme/none", "acme/notes", "acme/notes"]);
    assertEquals(
      new Map([...found].sort(([one], [other]) => one < other ? -1 : 1)),
      new Map([["acme/notes", { floor: 0, head: 1 }], [ledger, { floor: 3, head: 3 }]]),
    );
    assertEquals(await store.boundsOf([]), new Map());
  });

  it("tells the bounds of many ledgers at once", async () => {
    await using store = await open();
    const all = Array.from({ length: 500 }, (_, at) => `acme/ledger-${at}`);
    await store.commit(all.slice(0, 20).map((it) => putOf("a", { ledger: it })));
    const found = await store.boundsOf(all);
    assertEquals([...found.keys()].sort(), all.slice(0, 20).sort());
  });

  it("keeps keys character for character", async () => {
    await using store = await open();
    const keys = ["a\0b", "a\0c", "ü😀", "x".repeat(8192), "A", "a", " a"];
    await commitOne(store, putOf("a", { keys }));
    assertEquals((await store.heads(ledger)).keys, keys);
    assertEquals(done(await commitOne(store, commitOf({ keys }))).keys, []);
  });

  it("reads nothing of a ledger that does not exist", async () => {
    await using store = await open();
    assertEquals(await store.bounds(ledger), undefined);
    assertEquals(await store.heads(ledger), { metas: [], keys: [], seq: 0 });
    const { items: _, ...page } = await store.log(ledger, 0, 10);
    assertEquals(page, { metas: [], keys: [], seq: 0, more: false, floor: 0 });
  });
}
