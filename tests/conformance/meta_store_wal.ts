/** What every MetaStore must do with the records of devices. */

import { it } from "node:test";
import { assertEquals } from "#assert";
import type { MetaStore } from "../../src/backend/stores/meta_store.ts";
import { ledger } from "./fixtures.ts";

/** Declares the tests. @param open makes an empty store */
export function metaStoreWalTests(open: () => Promise<MetaStore>): void {
  const key = { ledger, owner: "alice", name: "wal" };
  const [one, two] = [Uint8Array.of(1), Uint8Array.of(2)];

  it("writes a device's record only at the version that was read", async () => {
    await using store = await open();
    assertEquals(await store.getWal(key), { version: 0, bytes: null });
    assertEquals(await store.putWal(key, 1, one), { done: false, version: 0 });
    assertEquals(await store.putWal(key, 0, one), { done: true, version: 1 });
    assertEquals(await store.putWal(key, 0, two), { done: false, version: 1 });
    assertEquals(await store.getWal(key), { version: 1, bytes: one });
    assertEquals(await store.putWal(key, 1, new Uint8Array(0)), { done: true, version: 2 });
    assertEquals(await store.getWal(key), { version: 2, bytes: new Uint8Array(0) });
  });

  it("removes a device's record only at the version that was read", async () => {
    await using store = await open();
    assertEquals(await store.deleteWal(key, 0), { done: true, version: 0 });
    await store.putWal(key, 0, one);
    assertEquals(await store.deleteWal(key, 2), { done: false, version: 1 });
    assertEquals(await store.deleteWal(key, 1), { done: true, version: 0 });
    assertEquals(await store.getWal(key), { version: 0, bytes: null });
  });

  it("keeps records of other ledgers, owners and names apart", async () => {
    await using store = await open();
    const keys = [
      key,
      { ...key, ledger: "acme/notes" },
      { ...key, owner: "alice\0" },
      { ...key, owner: "alice\0b" },
      { ...key, name: "wal2" },
    ];
    for (const [at, it] of keys.entries()) await store.putWal(it, 0, Uint8Array.of(at));
    const found = await Promise.all(keys.map((it) => store.getWal(it)));
    assertEquals(found.map(({ bytes }) => bytes?.[0]), [0, 1, 2, 3, 4]);
  });
}
