/** The follower by itself: how often it reads, what it announces, and what becomes of failures. */

import { test } from "node:test";
import { assert, assertEquals } from "#assert";
import { ledger, putOf } from "../../conformance/fixtures.ts";
import { eventually } from "../../harness/eventually.ts";
import type { FakeClock } from "../../harness/fake_clock.ts";
import { hear, put, setUp, setUpHeard } from "../support/follower_scene.ts";

/** Moves time on, second by second, until the check holds. */
async function inTime(clock: FakeClock, check: () => void): Promise<void> {
  await eventually(() => {
    clock.advance(1_000);
    check();
  }, { everyMs: 5 });
}

test("hints that come while a ledger is read are one more read at most", async () => {
  const { follower, calls, gate, heard } = await setUpHeard(10, 0);
  await using _ = follower;
  const { promise, resolve } = Promise.withResolvers<void>();
  gate.wait = promise;
  for (let seq = 1; seq <= 10; seq++) follower.onHints([{ ledger, seq }]);
  await eventually(() => assertEquals(calls.length, 1));
  for (let seq = 10; seq >= 1; seq--) follower.onHints([{ ledger, seq }]);
  resolve();
  await eventually(() => assertEquals(heard.position, 10));
  assertEquals(calls, [{ method: "log", ledger }]);
  assertEquals(heard.changes.map(({ after, seq }) => [after, seq]), [[0, 10]]);
});

test("a hint of what is known already reads nothing", async () => {
  const { metaStore, follower, calls, heard } = await setUpHeard(2, 0);
  await using _ = follower;
  follower.onHints([{ ledger, seq: 2 }]);
  await eventually(() => assertEquals(heard.position, 2));
  calls.length = 0;
  follower.onHints([{ ledger, seq: 1 }, { ledger, seq: 2 }, { ledger: "acme/unwatched", seq: 5 }]);
  await put(metaStore, 1);
  calls.length = 0;
  follower.onHints([{ ledger, seq: 3 }]);
  await eventually(() => assertEquals(heard.position, 3));
  assertEquals(calls, [{ method: "log", ledger }]);
});

test("many ledgers are read a few at a time, each in its turn", async () => {
  const { metaStore, hub, follower, calls, gate } = setUp({ maxReads: 3 });
  await using _ = follower;
  const ledgers = Array.from({ length: 20 }, (_, at) => `acme/l${at}`);
  for (const it of ledgers) await put(metaStore, 1, it);
  const all = ledgers.map((it) => hear(hub, it, 0));
  calls.length = 0;
  gate.most = 0;
  follower.onHints(ledgers.map((it) => ({ ledger: it, seq: 1 })));
  await eventually(() => assert(all.every(({ position }) => position === 1)));
  assertEquals(gate.most, 3);
  assertEquals(calls.map((it) => it.ledger), ledgers);
});

test("a long stretch comes in pages, and other ledgers come in between", async () => {
  const { metaStore, hub, follower, calls } = setUp({ maxReads: 1 });
  await using _ = follower;
  for (let at = 0; at < 12; at++) {
    await metaStore.commit(
      Array.from({ length: 100 }, (_, it) => putOf(`${at}/${it}`, { blobs: [], metas: [] })),
    );
    await metaStore.commit(Array.from({ length: 100 }, (_, it) => putOf(`${at}/${it}`)));
  }
  await put(metaStore, 1, "acme/other");
  const long = hear(hub, ledger, 0);
  const other = hear(hub, "acme/other", 0);
  calls.length = 0;
  follower.onHints([{ ledger, seq: 600 }, { ledger: "acme/other", seq: 1 }]);
  await eventually(() => assertEquals([long.position, other.position], [1200, 1]));
  assertEquals(calls.map((it) => it.ledger), [ledger, "acme/other", ledger, ledger]);
  assertEquals(long.changes.map(({ after, seq }) => [after, seq]), [
    [0, 500],
    [500, 1000],
    [1000, 1200],
  ]);
});

test("listeners that cannot take a stretch are told how far to read", async () => {
  const { follower, calls, heard } = await setUpHeard(3, undefined);
  await using _ = follower;
  follower.onHints([{ ledger, seq: 999 }]);
  await eventually(() => assertEquals(heard.moves, [3]));
  assertEquals(calls, [{ method: "bounds", ledger }]);
  assertEquals(heard.changes, []);
});

test("a read that fails is repeated", async () => {
  const { follower, calls, gate, clock, heard } = await setUpHeard(1, 0);
  await using _ = follower;
  gate.fails = true;
  follower.onHints([{ ledger, seq: 1, keys: true }]);
  for (let attempt = 1; attempt <= 3; attempt++) {
    await inTime(clock, () => assert(calls.length >= attempt));
  }
  assertEquals(heard.position, 0);
  gate.fails = false;
  await inTime(clock, () => {
    assertEquals(heard.changes.map(({ after, seq }) => [after, seq]), [[0, 1], [1, 1]]);
  });
});

test("the heads of all watched ledgers are looked at now and then, in few queries", async () => {
  const { metaStore, hub, follower, calls, clock } = setUp();
  await using _ = follower;
  const ledgers = Array.from({ length: 600 }, (_, at) => `acme/l${at}`);
  for (const it of ledgers) hear(hub, it, 0);
  await put(metaStore, 2, "acme/l599");
  const heard = hear(hub, "acme/l599", 0);
  calls.length = 0;
  clock.advance(29_999);
  assertEquals(calls.length, 0);
  clock.advance(1);
  await eventually(() => assertEquals(heard.position, 2));
  assertEquals(calls.map((it) => it.method), ["boundsOf", "boundsOf", "log"]);
});

test("a look that fails is repeated soon", async () => {
  const { follower, calls, gate, clock, heard } = await setUpHeard(1, 0);
  await using _ = follower;
  gate.fails = true;
  follower.onGap();
  await eventually(() => assertEquals(calls.length, 1));
  gate.fails = false;
  await inTime(clock, () => assertEquals(heard.position, 1));
});

test("after its end it reads and tells nothing", async () => {
  const { follower, calls, gate, clock, heard } = await setUpHeard(1, 0);
  const { promise, resolve } = Promise.withResolvers<void>();
  gate.wait = promise;
  follower.onHints([{ ledger, seq: 1 }]);
  const ended = follower[Symbol.asyncDispose]();
  resolve();
  await ended;
  calls.length = 0;
  const { position } = heard;
  follower.onHints([{ ledger, seq: 5 }]);
  follower.onGap();
  clock.advance(120_000);
  assertEquals([calls, heard.position], [[], position]);
});
