/** Tokens: who is asked, when, and how often. */

import { test } from "node:test";
import { assertEquals, assertRejects } from "#assert";
import { createTokenKeeper, refreshDelayMs } from "../../src/client/token.ts";
import type { HearthError } from "../../src/protocol/errors.ts";
import { createFakeClock } from "../harness/fake_clock.ts";

const { signal } = new AbortController();

test("a source is asked once for those who ask at once, and again when the token has ended", async () => {
  const clock = createFakeClock(0);
  let asked = 0;
  const tokens = createTokenKeeper(() => Promise.resolve(`token ${++asked}`), clock);
  assertEquals(await Promise.all([tokens.get(signal), tokens.get(signal)]), ["token 1", "token 1"]);
  tokens.learnExpiry(1000);
  clock.advance(999);
  assertEquals(await tokens.get(signal), "token 1");
  clock.advance(1);
  assertEquals(await tokens.get(signal), "token 2");
  tokens.drop();
  assertEquals(tokens.current, undefined);
  assertEquals(await tokens.get(signal), "token 3");
});

test("a constant token stays what it is", async () => {
  const clock = createFakeClock(0);
  const tokens = createTokenKeeper("constant", clock);
  await tokens.get(signal);
  tokens.learnExpiry(1000);
  clock.advance(2000);
  tokens.drop();
  assertEquals(await tokens.get(signal), "constant");
  assertEquals(tokens.renewable, false);
});

test("a source that fails, brings no string or never answers is UNAVAILABLE, and asked again", async () => {
  const clock = createFakeClock(0);
  // What a program without types may do.
  const answers: unknown[] = [Promise.reject(new Error("offline")), 7, new Promise(() => {})];
  const tokens = createTokenKeeper(() => answers.shift() as string ?? "good", clock);
  for (let count = 0; count < 3; count++) {
    const got = assertRejects(() => tokens.get(signal));
    await new Promise((resolve) => setTimeout(resolve, 0));
    clock.advance(30_000);
    assertEquals((await got as HearthError).code, "UNAVAILABLE");
  }
});

test("a token is replaced late in its life, never in a circle", () => {
  const minute = 60_000;
  assertEquals(refreshDelayMs(60 * minute, 0), 59 * minute);
  assertEquals(refreshDelayMs(minute, 0), 48_000);
  assertEquals(refreshDelayMs(20_000, 0), 16_000);
  assertEquals(refreshDelayMs(0, 3_600_000), 5_000);
});
