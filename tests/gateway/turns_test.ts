/** Work that may overlap with its like, and work that overlaps with none. */

import { test } from "node:test";
import { assertEquals, assertRejects } from "#assert";
import { Turns } from "../../src/gateway/turns.ts";

/** Work that goes on until it is told to end, and notes both in a log. */
function work(log: string[], name: string) {
  const { promise, resolve } = Promise.withResolvers<void>();
  const run = async () => {
    log.push(`${name} starts`);
    await promise;
    log.push(`${name} ends`);
  };
  return { run, end: resolve };
}

test("what may overlap does, and what runs alone waits for all of it", async () => {
  const turns = new Turns();
  const log: string[] = [];
  const [a, b, alone] = [work(log, "a"), work(log, "b"), work(log, "alone")];
  const all = [turns.together(a.run), turns.together(b.run), turns.alone(alone.run)];
  a.end();
  await all[0];
  assertEquals(log, ["a starts", "b starts", "a ends"]);
  b.end();
  alone.end();
  await Promise.all(all);
  assertEquals(log.slice(3), ["b ends", "alone starts", "alone ends"]);
});

test("nothing starts beside what runs alone, and what waits to run alone holds nobody up", async () => {
  const turns = new Turns();
  const log: string[] = [];
  const [first, waiting, late] = [work(log, "first"), work(log, "waiting"), work(log, "late")];
  const running = turns.together(first.run);
  const compacting = turns.alone(waiting.run);
  const beside = turns.together(late.run);
  assertEquals(log, ["first starts", "late starts"]);
  first.end();
  late.end();
  await Promise.all([running, beside]);
  await Promise.resolve();
  const after = turns.together(() => Promise.resolve(log.push("after")));
  waiting.end();
  await Promise.all([compacting, after]);
  assertEquals(log.slice(-3), ["waiting starts", "waiting ends", "after"]);
});

test("work that fails gives its turn back", async () => {
  const turns = new Turns();
  await assertRejects(() => turns.alone(() => Promise.reject(new Error("no"))));
  await assertRejects(() => turns.together(() => Promise.reject(new Error("no"))));
  assertEquals(await turns.together(() => Promise.resolve("yes")), "yes");
  await turns.alone(() => Promise.resolve());
});
