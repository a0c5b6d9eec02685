/** What is loaded when nothing tells where to look: how much, in which order, and when it ends. */

import { test } from "node:test";
import { assert, assertEquals } from "#assert";
import { maxSearch, searchStep, searchSteps } from "../../src/gateway/search_steps.ts";
import type { BlobListing } from "../../src/protocol/model.ts";

/** Lists so many cars in pages, and notes how many pages were read. */
function list(count: number, size: number) {
  const pages = { read: 0 };
  async function* read(): AsyncGenerator<readonly BlobListing[]> {
    for (let at = 0; at < count; at += 1000) {
      pages.read++;
      await Promise.resolve();
      yield Array.from(
        { length: Math.min(1000, count - at) },
        (_, place) => ({ store: "car", cid: `car-${at + place}`, size }),
      );
    }
  }
  return { pages, read };
}

async function collect(steps: AsyncIterable<readonly string[]>): Promise<(readonly string[])[]> {
  const found: (readonly string[])[] = [];
  for await (const step of steps) found.push(step);
  return found;
}

test("everything is taken in the order listed, but for what is here", async () => {
  const { read } = list(2_345, 1_000);
  const steps = await collect(searchSteps(read(), (cid) => cid.endsWith("7")));
  const expected = Array.from({ length: 2_345 }, (_, at) => `car-${at}`)
    .filter((cid) => !cid.endsWith("7"));
  assertEquals(steps.flat(), expected);
  assert(steps.every(({ length }) => length > 0 && length <= searchStep.cars));
});

test("a step ends with the car that fills it, so that a large one comes alone", async () => {
  const { read } = list(5, searchStep.bytes);
  assertEquals((await collect(searchSteps(read(), () => false))).map(({ length }) => length), [
    1,
    1,
    1,
    1,
    1,
  ]);
});

test("no more is taken than may be, by number and by bytes", async () => {
  const many = list(3 * maxSearch.cars, 1);
  const few = list(3 * maxSearch.cars, 1 << 20);
  const byNumber = (await collect(searchSteps(many.read(), () => false))).flat();
  assertEquals(byNumber.length, maxSearch.cars);
  assertEquals(many.pages.read, maxSearch.cars / 1000 + 1);
  const byBytes = (await collect(searchSteps(few.read(), () => false))).flat();
  assertEquals(byBytes.length, maxSearch.bytes >> 20);
  assertEquals(few.pages.read, 1);
});

test("no page is asked for before the one before it is used up", async () => {
  const { pages, read } = list(5_000, 1);
  for await (const step of searchSteps(read(), () => false)) {
    if (step.includes("car-1050")) break;
  }
  assertEquals(pages.read, 2);
});
