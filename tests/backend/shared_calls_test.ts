/** Calls that many share, by themselves. */

import { test } from "node:test";
import { assert, assertEquals, assertRejects } from "#assert";
import { SharedCalls } from "../../src/backend/shared_calls.ts";
import { eventually } from "../harness/eventually.ts";
import { createFakeClock } from "../harness/fake_clock.ts";

/** Calls that wait until a test lets them go on; each gives its number. */
function setUp() {
  const clock = createFakeClock();
  const calls = new SharedCalls<number>({ clock });
  const begun: PromiseWithResolvers<void>[] = [];
  const share = (key: string) =>
    calls.share(key, async () => {
      const held = Promise.withResolvers<void>();
      const number = begun.push(held);
      await held.promise;
      return number;
    });
  const untilBegun = (count: number) =>
    eventually(() => assertEquals(begun.length, count), { everyMs: 1 });
  return { clock, share, begun, untilBegun };
}

test("who comes before a call has begun shares it, who comes later shares the next", async () => {
  const { share, begun, untilBegun } = setUp();
  const first = [share("a"), share("a"), share("a")];
  await untilBegun(1);
  const second = [share("a"), share("a")];
  const elsewhere = share("b");
  await untilBegun(2);
  begun[1]?.resolve();
  assertEquals(await elsewhere, 2);
  assertEquals(begun.length, 2);
  begun[0]?.resolve();
  assertEquals(await Promise.all(first), [1, 1, 1]);
  await untilBegun(3);
  begun[2]?.resolve();
  assertEquals(await Promise.all(second), [3, 3]);
});

test("a call that hangs holds up the next for a second", async () => {
  const { clock, share, begun, untilBegun } = setUp();
  const hanging = share("a");
  await untilBegun(1);
  const next = share("a");
  await eventually(() => {
    clock.advance(1_000);
    assertEquals(begun.length, 2);
  }, { everyMs: 1 });
  begun[1]?.resolve();
  assertEquals(await next, 2);
  begun[0]?.resolve();
  assertEquals(await hanging, 1);
});

test("an error goes to those who share the call, also one that is thrown at once", async () => {
  const calls = new SharedCalls<number>();
  let failures = 0;
  const fail = (): Promise<number> => {
    throw new Error(`failure ${++failures}`);
  };
  const messages = await Promise.all(
    [1, 2].map(async () => (await assertRejects(() => calls.share("a", fail))).message),
  );
  assertEquals(messages, ["failure 1", "failure 1"]);
  const { message } = await assertRejects(() => calls.share("a", fail));
  assert(message === "failure 2");
});
