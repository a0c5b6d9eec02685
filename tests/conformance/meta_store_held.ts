/** What every MetaStore must do with metas that no reader may see yet. */

import { it } from "node:test";
import { assertEquals } from "#assert";
import type { MetaStore } from "../../src/backend/stores/meta_store.ts";
import { ledger, metaOf, refOf } from "./fixtures.ts";

/** Declares the tests. @param open makes an empty store */
export function metaStoreHeldTests(open: () => Promise<MetaStore>): void {
  const [one, two, three] = ["one", "two", "three"].map((name) => metaOf(name, [refOf(name)])) as [
    ReturnType<typeof metaOf>,
    ReturnType<typeof metaOf>,
    ReturnType<typeof metaOf>,
  ]; // A map keeps the length.

  it("holds metas in the order in which they came, each once", async () => {
    await using store = await open();
    assertEquals(await store.heldMetas(ledger), []);
    assertEquals(await store.hold(ledger, [one], 10), true);
    assertEquals(await store.hold(ledger, [two, one], 10), true);
    assertEquals(await store.heldMetas(ledger), [one, two]);
  });

  it("shows no reader what it holds", async () => {
    await using store = await open();
    await store.hold(ledger, [one], 10);
    assertEquals(await store.bounds(ledger), undefined);
    assertEquals((await store.heads(ledger)).metas, []);
    assertEquals((await store.log(ledger, 0, 10)).metas, []);
  });

  it("refuses to hold more than the limit, but for what it holds already", async () => {
    await using store = await open();
    assertEquals(await store.hold(ledger, [one, two], 2), true);
    assertEquals(await store.hold(ledger, [three], 2), false);
    assertEquals(await store.hold(ledger, [one], 2), true);
    assertEquals(await store.hold("acme/notes", [three], 2), true);
    assertEquals(await store.heldMetas(ledger), [one, two]);
  });

  it("lets go of held metas, and of no other ledger's", async () => {
    await using store = await open();
    await store.hold(ledger, [one, two], 10);
    await store.hold("acme/notes", [one], 10);
    await store.unhold(ledger, [one.cid, three.cid]);
    assertEquals(await store.heldMetas(ledger), [two]);
    assertEquals(await store.heldMetas("acme/notes"), [one]);
  });

  it("tells page by page which ledgers hold metas, and how many", async () => {
    await using store = await open();
    assertEquals(await store.heldLedgers(10), []);
    await store.hold(ledger, [one, two], 10);
    // By tenant first, though the text "acme-b/…" comes before "acme/…".
    for (const other of ["acme-b/notes", "acme/notes"]) await store.hold(other, [one], 10);
    const counts = [
      { ledger: "acme/notes", metas: 1 },
      { ledger, metas: 2 },
      { ledger: "acme-b/notes", metas: 1 },
    ];
    assertEquals(await store.heldLedgers(10), counts);
    assertEquals(await store.heldLedgers(2), counts.slice(0, 2));
    assertEquals(await store.heldLedgers(2, ledger), counts.slice(2));
    await store.unhold(ledger, [one.cid, two.cid]);
    assertEquals(await store.heldLedgers(10, "acme/notes"), counts.slice(2));
  });
}
