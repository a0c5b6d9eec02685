/** Thousands of connections that want the same at once: few reads, and everybody gets everything. */

import { test } from "node:test";
import { assert, assertEquals } from "#assert";
import { createMemoryMetaStore } from "../../src/backend/stores/memory.ts";
import type { MetaStore } from "../../src/backend/stores/meta_store.ts";
import { formatCursor } from "../../src/protocol/cursor.ts";
import type { Meta } from "../../src/protocol/model.ts";
import { commitOf, metaOf } from "../conformance/fixtures.ts";
import { eventually } from "../harness/eventually.ts";
import { type Member, startCrowd } from "./support/crowd.ts";

const ledger = "acme/todos";
const other = "acme/other";
const soon = { everyMs: 1 };
const bounded = { timeout: 120_000 };

/** A database whose reads are counted, can be held, and fail when a test wants it. */
function setUp(ledgers: readonly string[] = [ledger, other]) {
  const metaStore = createMemoryMetaStore();
  const reads: string[] = [];
  const gate: { wait: Promise<void> | undefined; failures: number } = {
    wait: undefined,
    failures: 0,
  };
  for (const method of ["log", "heads", "bounds", "inventory"] as const) {
    // The compiler does not see that one method is put in its own place.
    const read = metaStore[method].bind(metaStore) as (
      ...args: readonly unknown[]
    ) => Promise<never>;
    metaStore[method] = async (...args: readonly unknown[]) => {
      reads.push(`${method} ${args[0]}`);
      if (gate.failures > 0) {
        gate.failures--;
        throw new Error("the database is away");
      }
      // What is found is that of the beginning, as in a snapshot.
      const found = await read(...args);
      await gate.wait;
      return found;
    };
  }
  const cursorAt = (seq: number) => formatCursor({ epoch: metaStore.epoch, seq });
  /** Lets no read end until what it returns is called. */
  const hold = (): () => void => {
    const { promise, resolve } = Promise.withResolvers<void>();
    gate.wait = promise;
    return () => {
      gate.wait = undefined;
      resolve();
    };
  };
  return { metaStore, reads, gate, cursorAt, hold, crowd: startCrowd(metaStore, ledgers) };
}

async function fill(store: MetaStore, name: string, from: number, count: number) {
  const metas = Array.from({ length: count }, (_, at) => metaOf(`${name} ${from + at}`));
  await store.commit([commitOf({ ledger: name, metas })]);
}

async function replied(members: readonly Member[]): Promise<void> {
  await eventually(() => {
    const late = members.filter((it) => !it.reply()).length;
    if (late > 0) throw new Error(`${late} have no reply`);
  }, soon);
}

const textsOf = (metas: readonly Meta[]) => metas.map(({ data }) => new TextDecoder().decode(data));
const texts = (name: string, from: number, count: number) =>
  Array.from({ length: count }, (_, at) => `${name} ${from + at}`);

/** Everything that a member was told since it watches. */
function told(member: Member): readonly string[] {
  const notices = member.notices();
  let { cursor } = member.answer();
  for (const notice of notices) {
    assertEquals(notice.after, cursor, "it does not follow");
    ({ cursor } = notice);
  }
  return textsOf([member.answer(), ...notices].flatMap((it) => it.metas));
}

test("two thousand connections that come back to one ledger cost two reads", bounded, async () => {
  const { metaStore, crowd, reads, cursorAt, hold } = setUp();
  await fill(metaStore, ledger, 1, 20);
  const members = await crowd.connect(2000);
  const release = hold();
  const [first, ...others] = members;
  assert(first);
  first.watch(ledger, cursorAt(10));
  await eventually(() => assertEquals(reads.length, 1), soon);
  for (const member of others) member.watch(ledger, cursorAt(10));
  release();
  await replied(members);
  assertEquals(reads, [`log ${ledger}`, `log ${ledger}`]);
  for (const member of members) {
    assertEquals(textsOf(member.answer().metas), texts(ledger, 11, 10));
  }
  await fill(metaStore, ledger, 21, 1);
  crowd.services.hub.moved(ledger, 21);
  await eventually(() => {
    for (const member of members) assertEquals(told(member), texts(ledger, 11, 11));
  }, soon);
  assertEquals(reads.length, 3);
});

test("connections to a hundred ledgers cost a read a ledger, each its own", bounded, async () => {
  const ledgers = Array.from({ length: 100 }, (_, at) => `acme/l${at}`);
  const { metaStore, crowd, reads, cursorAt } = setUp(ledgers);
  for (const name of ledgers) await fill(metaStore, name, 1, 3);
  const members = await crowd.connect(2000);
  members.forEach((member, at) => member.watch(`acme/l${at % 100}`, cursorAt(1)));
  await replied(members);
  assertEquals(reads.length, 100);
  members.forEach((member, at) => assertEquals(told(member), texts(`acme/l${at % 100}`, 2, 2)));
});

test("those with another cursor, or who ask for an inventory, get what they asked for", async () => {
  const { metaStore, crowd, reads, cursorAt } = setUp();
  await fill(metaStore, ledger, 1, 5);
  const members = await crowd.connect(12);
  members.forEach((member, at) => member.watch(ledger, at % 2 ? cursorAt(at) : undefined));
  await replied(members);
  members.forEach((member, at) => {
    const reply = member.reply();
    if (at % 2 && at > 5) assertEquals(reply?.error?.code, "CURSOR_INVALID");
    else assertEquals(textsOf(member.answer().metas).length, at % 2 ? 5 - at : 5);
  });
  assertEquals(reads.filter((it) => it === `heads ${ledger}`).length, 1);
});

for (const by of ["this", "another"] as const) {
  test(
    `what ${by} instance acknowledged before somebody asked is in their answer, although a read is under way`,
    bounded,
    async () => {
      const { metaStore, crowd, reads, cursorAt, hold } = setUp();
      await fill(metaStore, ledger, 1, 3);
      const members = await crowd.connect(200);
      const [early, late] = [members.slice(0, 100), members.slice(100)];
      const release = hold();
      for (const member of early) member.watch(ledger, cursorAt(2));
      await eventually(() => assertEquals(reads.length, 1), soon);
      const commit = commitOf({ ledger, metas: [metaOf(`${ledger} 4`)] });
      // Nobody is told of what another instance commits: a hint may be lost.
      if (by === "this") await crowd.services.committer.commit(commit);
      else await metaStore.commit([commit]);
      for (const member of late) member.watch(ledger, cursorAt(2));
      release();
      await replied(members);
      for (const member of early) assertEquals(textsOf(member.answer().metas), texts(ledger, 3, 1));
      for (const member of late) assertEquals(textsOf(member.answer().metas), texts(ledger, 3, 2));
      if (by === "another") return;
      await eventually(() => {
        for (const member of early) assertEquals(told(member), texts(ledger, 3, 2));
      }, soon);
      for (const member of late) assertEquals(member.notices(), []);
      assertEquals(reads.length, 3);
    },
  );
}

test("a read that fails is an error to all who share it, and to nobody who comes later", async () => {
  const { metaStore, crowd, gate, cursorAt } = setUp();
  await fill(metaStore, ledger, 1, 3);
  const [first, second] = [await crowd.connect(100), await crowd.connect(100)];
  gate.failures = 1;
  for (const member of first) member.watch(ledger, cursorAt(1));
  await replied(first);
  for (const member of first) assertEquals(member.reply()?.error?.code, "INTERNAL");
  for (const member of second) member.watch(ledger, cursorAt(1));
  await replied(second);
  for (const member of second) assertEquals(told(member), texts(ledger, 2, 2));
});

test("a catch-up that fails ends the connections that share it, which resume", async () => {
  const { metaStore, crowd, gate, cursorAt } = setUp();
  await fill(metaStore, ledger, 1, 3);
  const [lagging, well] = [await crowd.connect(100), await crowd.connect(10)];
  for (const member of lagging) member.watch(ledger, cursorAt(3));
  for (const member of well) member.watch(other);
  await replied([...lagging, ...well]);
  await fill(metaStore, ledger, 4, 1);
  gate.failures = 1;
  crowd.services.hub.moved(ledger, 4);
  await eventually(() => assert(lagging.every((it) => it.isClosed)), soon);
  assert(well.every((it) => !it.isClosed));
  const again = await crowd.connect(100);
  for (const member of again) member.watch(ledger, cursorAt(3));
  await replied(again);
  for (const member of again) assertEquals(told(member), texts(ledger, 4, 1));
});

test("watchers that lag behind share one read and are sent the same bytes", bounded, async () => {
  const { metaStore, crowd, reads, cursorAt } = setUp();
  await fill(metaStore, ledger, 1, 1);
  const members = await crowd.connect(1000);
  for (const member of members) member.watch(ledger, cursorAt(1));
  await replied(members);
  reads.length = 0;
  await fill(metaStore, ledger, 2, 50);
  crowd.services.hub.moved(ledger, 51);
  await eventually(() => {
    for (const member of members) assertEquals(member.messages.length, 3);
  }, soon);
  assertEquals(reads, [`log ${ledger}`]);
  assertEquals(new Set(members.map(({ messages }) => messages.at(-1))).size, 1);
  assertEquals(members[0] && told(members[0]), texts(ledger, 2, 50));
});

test("a ledger's watchers hear of a commit while two thousand of another ledger catch up", {
  ...bounded,
}, async () => {
  const { metaStore, crowd, cursorAt } = setUp();
  await fill(metaStore, ledger, 1, 1);
  const [many, few] = [await crowd.connect(2000), await crowd.connect(20)];
  for (const member of many) member.watch(ledger, cursorAt(1));
  for (const member of few) member.watch(other);
  await replied([...many, ...few]);
  const before = crowd.sent.length;
  await fill(metaStore, ledger, 2, 500);
  crowd.services.hub.moved(ledger, 501);
  // At the very first message, so that the count below is one of turns of the loop, not of time.
  await eventually(() => assert(crowd.sent.length > before), { on: [crowd] });
  await crowd.services.committer.commit(commitOf({ ledger: other, metas: [metaOf("urgent")] }));
  await eventually(() => assertEquals(crowd.sent.length, before + 2020), soon);
  const order = crowd.sent.slice(before).map(({ to }) => few.includes(to));
  assertEquals(order.filter((isFew) => isFew).length, 20);
  const ahead = order.lastIndexOf(true) - 19;
  assert(ahead < 500, `${ahead} others were sent theirs before`);
});

test("one that does not read holds up nobody who shares its reads", bounded, async () => {
  const { metaStore, crowd, reads, cursorAt } = setUp();
  await fill(metaStore, ledger, 1, 1);
  const members = await crowd.connect(100);
  for (const member of members) member.watch(ledger, cursorAt(1));
  await replied(members);
  const [stalled, ...others] = members;
  assert(stalled);
  stalled.backlog = 512 << 10;
  reads.length = 0;
  await fill(metaStore, ledger, 2, 1);
  crowd.services.hub.moved(ledger, 2);
  await eventually(() => {
    for (const member of others) assertEquals(told(member), texts(ledger, 2, 1));
  }, soon);
  assertEquals(stalled.notices(), []);
  assertEquals(reads.length, 1);
  stalled.backlog = 0;
  await eventually(() => {
    crowd.clock.advance(10);
    assertEquals(told(stalled), texts(ledger, 2, 1));
  }, soon);
});
