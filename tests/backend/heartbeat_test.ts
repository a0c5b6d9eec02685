/** A peer is asked after silence, and given up when nothing comes back; not before. */

import { test } from "node:test";
import { assertEquals } from "#assert";
import { Heartbeat } from "../../src/backend/heartbeat.ts";

/** What is done at each of so many seconds, when this much waits to leave. */
function seconds(heartbeat: Heartbeat, backlogs: readonly number[]): string {
  return backlogs.map((backlog) => heartbeat.pass(1_000, backlog)).map((it) =>
    it === "nothing" ? "." : it === "ask" ? "?" : "x"
  ).join("");
}

const idle = (count: number) => Array.from({ length: count }, () => 0);

test("a silent peer is asked after the heartbeat and given up 5 s later", () => {
  assertEquals(seconds(new Heartbeat(10_000), idle(15)), ".........?....x");
});

test("a sign of life puts both off, also between question and end", () => {
  const heartbeat = new Heartbeat(3_000);
  assertEquals(seconds(heartbeat, idle(2)), "..");
  heartbeat.seen();
  assertEquals(seconds(heartbeat, idle(7)), "..?....");
  heartbeat.seen();
  assertEquals(seconds(heartbeat, idle(8)), "..?....x");
});

test("a peer that still takes what waits for it is not given up, though it does not answer", () => {
  const heartbeat = new Heartbeat(3_000);
  assertEquals(seconds(heartbeat, [9, 9, 9, 9, 9, 9, 9, 8]), "..?.....");
  assertEquals(seconds(heartbeat, [8, 8, 8, 8, 8, 8, 8, 8]), "..?....x");
  assertEquals(seconds(new Heartbeat(3_000), [0, 0, 5, 9, 9, 9, 9, 9]), "..?....x");
});
