/** The guide for the stock client names tests as its proofs: they are there, under these titles. */

import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { assert, assertEquals } from "#assert";

const root = new URL("../../", import.meta.url);

test("every test that the stock client's guide names exists", async () => {
  const guide = await readFile(new URL("docs/fireproof.md", root), "utf8");
  const named = [...guide.matchAll(/`(tests\/[\w/]+_test\.ts)`, "([^"]+)"/g)];
  assert(named.length >= 8, `${named.length} tests are named`);
  const missing: string[] = [];
  for (const [, path = "", title = ""] of named) {
    const source = await readFile(new URL(path, root), "utf8");
    if (!source.includes(`"${title}"`)) missing.push(`${path}: ${title}`);
  }
  assertEquals(missing, []);
});
