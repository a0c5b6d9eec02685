/** Merges of devices that write at once: rarer, the longer both go on. */

import { test } from "node:test";
import { assertEquals, assertRejects } from "#assert";
import { Crossings } from "../../src/gateway/crossings.ts";
import { createFakeClock } from "../harness/fake_clock.ts";

const never = new AbortController().signal;

/** A device that writes between any two merges, and how long each merge had to wait. */
async function crossFor(times: number) {
  const clock = createFakeClock(0);
  const crossings = new Crossings(clock);
  const waited: number[] = [];
  for (let at = 0; at < times; at++) {
    const own = `own-${at}`;
    waited.push(await waitFor(clock, crossings.pause([own], never)));
    crossings.merged([own], [own, `theirs-${at}`]);
  }
  return { clock, crossings, waited };
}

async function waitFor(clock: ReturnType<typeof createFakeClock>, done: Promise<void>) {
  const from = clock.now();
  let waiting = true;
  void done.then(() => waiting = false);
  for (;;) {
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    if (!waiting) return clock.now() - from;
    clock.advance(10);
  }
}

test("the first crossings are free, each after those waits twice as long", async () => {
  const { waited } = await crossFor(9);
  assertEquals(waited, [0, 0, 0, 100, 200, 400, 800, 1600, 3200]);
});

test("who has written nothing since the last merge never waits", async () => {
  const { crossings } = await crossFor(9);
  await crossings.pause(["own-8", "theirs-8"], never);
  crossings.merged(["own-8", "theirs-8"], ["own-8", "theirs-9"]);
  await crossings.pause(["own-8", "theirs-9"], never);
});

test("a commit that holds all of the device's own ends the row", async () => {
  const { clock, crossings } = await crossFor(9);
  crossings.merged(["own-9"], ["theirs-9"]);
  assertEquals(await waitFor(clock, crossings.pause(["own-10"], never)), 0);
});

test("the end of the attachment ends the wait", async () => {
  const { crossings } = await crossFor(9);
  const ended = new AbortController();
  const waiting = crossings.pause(["own-9"], ended.signal);
  ended.abort(new Error("detached"));
  assertEquals((await assertRejects(() => waiting)).message, "detached");
});
