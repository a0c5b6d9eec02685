/** A bound shared by many: never more inside than there is room for, nobody forgotten. */

import { test } from "node:test";
import { assert, assertEquals, assertRejects } from "#assert";
import { mapBounded } from "../../src/client/bounded.ts";
import { Semaphore } from "../../src/client/semaphore.ts";
import { seededRandom, testSeed } from "../random.ts";

const { signal } = new AbortController();

test("who waits gets in in order, and who wants too much gets in alone", async () => {
  const semaphore = new Semaphore(10);
  const first = await semaphore.take(6, signal);
  const order: string[] = [];
  const large = semaphore.take(50, signal).then((release) => {
    order.push("large");
    return release;
  });
  const small = semaphore.take(1, signal).then((release) => {
    order.push("small");
    return release;
  });
  await Promise.resolve();
  assertEquals(order, []);
  first();
  (await large)();
  (await small)();
  assertEquals(order, ["large", "small"]);
});

test("whatever is taken, given up and given back, the bound holds and nobody is stuck", async () => {
  const seed = testSeed();
  const random = seededRandom(seed);
  const semaphore = new Semaphore(7);
  let inside = 0;
  const visits = Array.from({ length: 500 }, async () => {
    const amount = 1 + random.below(9);
    const abort = new AbortController();
    if (random.below(3) === 0) queueMicrotask(() => abort.abort(new Error("gave up")));
    for (let wait = random.below(20); wait > 0; wait--) await Promise.resolve();
    try {
      const release = await semaphore.take(amount, abort.signal);
      inside += Math.min(amount, 7);
      assert(inside <= 7, `seed ${seed}: ${inside} inside`);
      for (let wait = random.below(5); wait > 0; wait--) await Promise.resolve();
      inside -= Math.min(amount, 7);
      release();
    } catch (error) {
      assertEquals((error as Error).message, "gave up");
    }
  });
  await Promise.all(visits);
  (await semaphore.take(7, signal))();
});

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
