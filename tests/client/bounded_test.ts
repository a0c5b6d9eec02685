/** A list, a few items at a time. */

import { test } from "node:test";
import { assert, assertEquals, assertRejects } from "#assert";
import { mapBounded } from "../../src/client/bounded.ts";

test("a list is worked through a few at a time, in order of its items, until one fails", async () => {
  let running = 0;
  let most = 0;
  const started: number[] = [];
  const run = async (item: number): Promise<number> => {
    started.push(item);
    most = Math.max(most, ++running);
    await Promise.resolve();
    running--;
    if (item === 13) throw new Error("thirteen");
    return item * 2;
  };
  assertEquals(await mapBounded([1, 2, 3, 4, 5], 3, run), [2, 4, 6, 8, 10]);
  assertEquals(most, 3);
  assertEquals(await mapBounded([], 3, run), []);
  started.length = 0;
  const items = Array.from({ length: 100 }, (_, at) => at);
  assertEquals((await assertRejects(() => mapBounded(items, 2, run))).message, "thirteen");
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert(started.length < 20, `${started.length} were started`);
});
