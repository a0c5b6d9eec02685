/** What is remembered of the database's own commits, against their cars. */

import { fireproof } from "@fireproof/core";
import type { Loadable } from "@fireproof/core-types-blockstore";
import { test } from "node:test";
import { assertEquals, assertExists } from "#assert";
import { openCar, type OpenedCar } from "../../src/gateway/cars.ts";
import { rememberCommits, rememberedCommit } from "../../src/gateway/own_commits.ts";

test("what is remembered of a commit is what its car says", async () => {
  await using scene = await openScene();
  const { loader, database } = scene;
  const file = new File(["hello"], "hello.txt", { type: "text/plain" });
  // Fireproof tells files by their constructor, which Bun says is Blob.
  if (file.constructor !== File) Object.defineProperty(file, "constructor", { value: File });
  await database.put({ _id: "first", text: "one" });
  await database.put({ _id: "with a file", _files: { hello: file } });
  await Promise.all([
    database.put({ _id: "at once, one", text: "x".repeat(1000) }),
    database.put({ _id: "at once, two", text: "y".repeat(1000) }),
  ]);
  const commits = loader.carLog.asArray();
  assertEquals(commits.length >= 3, true);
  let files = 0;
  for (const [car] of commits) {
    assertExists(car);
    const remembered = rememberedCommit(loader, car);
    assertExists(remembered);
    const opened = await openCar(loader, car, loader.attachedStores.local());
    assertEquals(describe(remembered), describe(opened));
    files += remembered.files.length;
  }
  assertEquals(files, 1);
});

test("a compaction, and all but the last commits, are left to their cars", async () => {
  await using scene = await openScene();
  const { loader, database } = scene;
  await database.put({ _id: "first", text: "one" });
  const [first] = loader.carLog.asArray().flat();
  assertExists(first);
  await database.compact();
  const [compacted] = loader.carLog.asArray().flat();
  assertExists(compacted);
  assertEquals(rememberedCommit(loader, compacted), undefined);
  assertExists(rememberedCommit(loader, first));
  for (let at = 0; at < 16; at++) await database.put({ _id: `then ${at}` });
  assertEquals(rememberedCommit(loader, first), undefined);
});

function describe({ needs, compacts, files, head, isWrite }: OpenedCar) {
  return {
    needs: needs.map(String),
    compacts: compacts.map(String),
    files: files.map(String),
    head: head.map(String),
    isWrite,
  };
}

async function openScene() {
  const name = `own-commits-${crypto.randomUUID()}`;
  const database = fireproof(name, { storeUrls: { base: `memory://${name}` } });
  await database.ready();
  const { loader } = database.ledger.crdt.blockstore as { readonly loader?: Loadable };
  if (!loader) throw new TypeError("The database has no loader");
  rememberCommits(loader);
  return { database, loader, [Symbol.asyncDispose]: () => database.close() };
}
