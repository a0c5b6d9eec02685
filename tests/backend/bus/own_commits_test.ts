/** What becomes of an instance's own commits: told from memory, or read where others came between. */

import { test } from "node:test";
import { assertEquals } from "#assert";
import { blobOf, cidOf, commitOf, ledger, metaOf, putOf } from "../../conformance/fixtures.ts";
import { eventually } from "../../harness/eventually.ts";
import { hear, type Heard, put, setUp, setUpHeard } from "../support/follower_scene.ts";

const read = { method: "log", ledger };

/** From where to where each change goes. */
function stepsOf({ changes }: Heard): readonly (readonly (number | undefined)[])[] {
  return changes.map(({ after, seq }) => [after, seq]);
}

test("own commits are told without a read, keys alone and blobs alone among them", async () => {
  const { follower, committer, calls, heard } = await setUpHeard(0, 0);
  await using _ = follower;
  const twice = putOf("a", { keys: ["k"] });
  await committer.commit(twice);
  await committer.commit(commitOf({ metas: [metaOf("b"), metaOf("c")] }));
  await committer.commit(commitOf({ keys: ["alone"] }));
  await committer.commit(commitOf({ blobs: [blobOf("blob")] }));
  await committer.commit(twice);
  await Promise.all(["d", "e"].map((it) => committer.commit(putOf(it, { keys: ["k"] }))));
  // The last two are of one batch, which is told in one step.
  assertEquals(stepsOf(heard), [[0, 1], [1, 3], [3, 3], [3, 5]]);
  assertEquals(heard.keys, ["k", "alone"]);
  assertEquals(calls, []);
});

test("own commits are told without a read as soon as the ledger has been read once", async () => {
  const { follower, committer, calls, heard } = await setUpHeard(3, 3);
  await using _ = follower;
  await committer.commit(putOf("a"));
  await eventually(() => assertEquals(heard.position, 4));
  for (const name of ["b", "c", "d"]) await committer.commit(putOf(name));
  assertEquals(stepsOf(heard), [[3, 4], [4, 5], [5, 6], [6, 7]]);
  assertEquals(calls, [read]);
});

test("an own commit behind another instance's that was told is told without a read", async () => {
  const { metaStore, follower, committer, calls, heard } = await setUpHeard(0, 0);
  await using _ = follower;
  for (let seq = 1; seq <= 6; seq += 2) {
    await metaStore.commit([putOf(`other ${seq}`, { keys: [`key ${seq}`] })]);
    follower.onHints([{ ledger, seq }]);
    await eventually(() => assertEquals(heard.position, seq));
    await committer.commit(putOf(`own ${seq}`));
    assertEquals(heard.position, seq + 1);
  }
  assertEquals(heard.keys, ["key 1", "key 3", "key 5"]);
  assertEquals(calls, [read, read, read]);
});

test("an own commit behind another instance's that was not told is read with it", async () => {
  const { metaStore, follower, committer, calls, heard } = await setUpHeard(0, 0);
  await using _ = follower;
  await committer.commit(putOf("a"));
  await metaStore.commit([putOf("other")]);
  await committer.commit(putOf("b"));
  await eventually(() => assertEquals(heard.position, 3));
  await committer.commit(putOf("c"));
  assertEquals(stepsOf(heard), [[0, 1], [1, 3], [3, 4]]);
  assertEquals(calls, [read]);
});

for (const follows of ["metas", "keys"] as const) {
  test(`keys of another instance whose hint was lost come with the next own ${follows}`, async () => {
    const { metaStore, follower, committer, heard } = await setUpHeard(0, 0);
    await using _ = follower;
    await committer.commit(putOf("a"));
    await metaStore.commit([commitOf({ keys: ["lost"] })]);
    await committer.commit(
      follows === "metas" ? putOf("b", { keys: ["own"] }) : commitOf({ keys: ["own"] }),
    );
    await eventually(() => assertEquals(heard.keys, ["lost", "own"]));
  });
}

test("keys that a read has shown to some alone come to the others with the next commit", async () => {
  const { metaStore, hub, follower, committer, heard } = await setUpHeard(2, 1);
  await using _ = follower;
  // It has read as far before the keys came.
  const ahead = hear(hub, ledger, 2);
  await metaStore.commit([commitOf({ keys: ["lost"] })]);
  follower.onHints([{ ledger, seq: 2 }]);
  await eventually(() => assertEquals(heard.keys, ["lost"]));
  ahead.changes.length = 0;
  await committer.commit(putOf("a"));
  await eventually(() => assertEquals(ahead.keys, ["lost"]));
});

test("an own commit that comes while the ledger is read is told behind what is read", async () => {
  const { metaStore, follower, committer, calls, gate, heard } = await setUpHeard(1, 0);
  await using _ = follower;
  const { promise, resolve } = Promise.withResolvers<void>();
  gate.answer = promise;
  follower.onHints([{ ledger, seq: 1 }]);
  await committer.commit(putOf("a"));
  await metaStore.commit([putOf("other")]);
  await committer.commit(putOf("b", { keys: ["k"] }));
  assertEquals(stepsOf(heard), []);
  resolve();
  await eventually(() => assertEquals(heard.position, 4));
  await committer.commit(putOf("c"));
  assertEquals(stepsOf(heard), [[0, 1], [1, 4], [4, 5]]);
  assertEquals(heard.keys, ["k"]);
  assertEquals(calls, [read, read]);
});

test("an own commit behind metas that were taken out is read once", async () => {
  const { metaStore, follower, committer, calls, heard } = await setUpHeard(0, 0);
  await using _ = follower;
  await committer.commit(putOf("a"));
  await metaStore.deleteMetas(ledger, [cidOf("a")]);
  await committer.commit(putOf("b"));
  await eventually(() => assertEquals(heard.position, 3));
  calls.length = 0;
  await committer.commit(putOf("c"));
  await eventually(() => assertEquals(heard.position, 4));
  await committer.commit(putOf("d"));
  assertEquals(stepsOf(heard), [[0, 1], [undefined, 3], [3, 4], [4, 5]]);
  assertEquals(calls, [read]);
});

test("a hint of what an own commit has told reads nothing, and a look finds nothing to tell", async () => {
  const { follower, committer, calls, clock, heard } = await setUpHeard(0, 0);
  await using _ = follower;
  await committer.commit(putOf("a"));
  follower.onHints([{ ledger, seq: 1 }]);
  clock.advance(30_000);
  await eventually(() => assertEquals(calls.length, 1));
  await committer.commit(putOf("b"));
  assertEquals(stepsOf(heard), [[0, 1], [1, 2]]);
  assertEquals(calls.map((it) => it.method), ["boundsOf"]);
});

test("a look finds what another instance has committed between own commits", async () => {
  const { metaStore, follower, committer, calls, clock, heard } = await setUpHeard(0, 0);
  await using _ = follower;
  await committer.commit(putOf("a"));
  await put(metaStore, 2);
  calls.length = 0;
  clock.advance(30_000);
  await eventually(() => assertEquals(heard.position, 3));
  await committer.commit(putOf("b"));
  assertEquals(stepsOf(heard), [[0, 1], [1, 3], [3, 4]]);
  assertEquals(calls.map((it) => it.method), ["boundsOf", "log"]);
});

test("a listener who stands elsewhere does not hold up those who follow", async () => {
  const { hub, follower, committer, calls, heard } = await setUpHeard(0, 0);
  await using _ = follower;
  const waiting = hear(hub, ledger, undefined);
  await committer.commit(putOf("a"));
  assertEquals([stepsOf(heard), stepsOf(waiting)], [[[0, 1]], [[0, 1]]]);
  assertEquals(calls, []);
});

test("own commits are not told once the follower has ended, nor where nobody listens", async () => {
  const { hub, follower, committer, calls } = setUp();
  await committer.commit(putOf("a"));
  const heard = hear(hub, ledger, 1);
  await follower[Symbol.asyncDispose]();
  await committer.commit(putOf("b"));
  assertEquals([calls, heard.changes], [[], []]);
});
