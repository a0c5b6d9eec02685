/** A bound shared by many: never more inside than there is room for, nobody forgotten. */

import { test } from "node:test";
import { assert, assertEquals } from "#assert";
import { Semaphore } from "../../src/base/semaphore.ts";
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
