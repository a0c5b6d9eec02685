/** A map that forgets what was set first. */

import { test } from "node:test";
import { assertEquals } from "#assert";
import { RecentMap } from "../../src/base/recent_map.ts";

test("the entry that was set before all others goes first, and setting it anew keeps it", () => {
  const map = new RecentMap<number>(3);
  for (const name of ["a", "b", "c"]) map.set(name, 1);
  map.set("a", 2);
  map.set("d", 1);
  assertEquals(["a", "b", "c", "d"].map((name) => map.get(name)), [2, undefined, 1, 1]);
  map.delete("c");
  map.set("e", 1);
  assertEquals(["a", "c", "d", "e"].map((name) => map.get(name)), [2, undefined, 1, 1]);
  map.clear();
  assertEquals(map.get("a"), undefined);
});
