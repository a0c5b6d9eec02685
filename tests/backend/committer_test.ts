/** The group committer: what goes together, in which order it is told, and what happens at bounds. */

import { describe, it } from "node:test";
import { setImmediate } from "node:timers/promises";
import { assert, assertEquals, assertRejects } from "#assert";
import { type CommitterOptions, createCommitter } from "../../src/backend/committer.ts";
import { createMemoryMetaStore } from "../../src/backend/stores/memory.ts";
import type { Commit, Outcome } from "../../src/backend/stores/meta_store.ts";
import { HearthError } from "../../src/protocol/errors.ts";
import { commitOf, ledger, metaOf, putOf, refOf } from "../conformance/fixtures.ts";

describe("createCommitter()", () => {
  it("puts commits of the same turn into one transaction", async () => {
    const { committer, batches } = setUp();
    const outcomes = await Promise.all(["a", "b", "c"].map((it) => committer.commit(putOf(it))));
    assertEquals(outcomes.map(seqOf), [1, 2, 3]);
    assertEquals(batches, [3]);
  });

  it("puts what arrives during a transaction into the next one", async () => {
    const gate = Promise.withResolvers<void>();
    const started = Promise.withResolvers<void>();
    const { committer, batches } = setUp({}, async () => {
      started.resolve();
      await gate.promise;
    });
    const first = committer.commit(putOf("a"));
    await started.promise;
    const others = [committer.commit(putOf("b")), committer.commit(putOf("c"))];
    gate.resolve();
    assertEquals((await Promise.all([first, ...others])).map(seqOf), [1, 2, 3]);
    assertEquals(batches, [1, 2]);
  });

  it("gives a commit that comes twice in one batch the same outcome", async () => {
    const { committer, batches } = setUp();
    const [one, two] = await Promise.all([
      committer.commit(putOf("a")),
      committer.commit(putOf("a")),
    ]);
    assertEquals([seqOf(one), seqOf(two)], [1, 1]);
    assertEquals(two, { kind: "done", seq: 1, fresh: [], keys: [], blobs: [], items: 1 });
    assertEquals(batches, [2]);
  });

  it("lets no refused commit harm its neighbours", async () => {
    const { committer, batches } = setUp();
    const missing = commitOf({ metas: [metaOf("b", [refOf("absent")])] });
    const foreign = putOf("c", { ledger: "acme/none", create: false });
    const all = [putOf("a"), missing, foreign, putOf("d")];
    const outcomes = await Promise.all(all.map((it) => committer.commit(it)));
    assertEquals(outcomes.map((it) => it.kind), ["done", "missing", "unknown-ledger", "done"]);
    assertEquals([seqOf(outcomes[0]), seqOf(outcomes[3])], [1, 2]);
    assertEquals(batches, [4]);
  });

  it("tells of what was kept, in order and before anybody has an ack", async () => {
    const events: string[] = [];
    const { committer } = setUp({
      maxBatch: 2,
      onCommitted: (commit, { seq }) => events.push(`told ${commit.ledger} ${seq}`),
    });
    const missing = commitOf({ metas: [metaOf("x", [refOf("absent")])] });
    const all = [putOf("a"), missing, putOf("b"), putOf("c", { ledger: "acme/notes" })];
    await Promise.all(all.map(async (commit) => {
      const outcome = await committer.commit(commit);
      events.push(outcome.kind === "done" ? `ack ${commit.ledger} ${outcome.seq}` : outcome.kind);
    }));
    assertEquals(events.filter((it) => it.startsWith("told")), [
      "told acme/todos 1",
      "told acme/todos 2",
      "told acme/notes 1",
    ]);
    for (const it of ["acme/todos 1", "acme/todos 2", "acme/notes 1"]) {
      assert(events.indexOf(`told ${it}`) < events.indexOf(`ack ${it}`), events.join(", "));
    }
    assertEquals(events.filter((it) => it === "missing").length, 1);
  });

  it("rejects one commit alone when its listener fails", async () => {
    const { committer } = setUp({
      onCommitted: (_, { seq }) => {
        if (seq === 1) throw new RangeError("the listener failed");
      },
    });
    const first = assertRejects(() => committer.commit(putOf("a")));
    const second = committer.commit(putOf("b"));
    assertEquals((await first).message, "the listener failed");
    assertEquals(seqOf(await second), 2);
  });

  it("bounds a batch by commits and by bytes", async () => {
    const byCount = setUp({ maxBatch: 2 });
    await Promise.all(["a", "b", "c", "d", "e"].map((it) => byCount.committer.commit(putOf(it))));
    assertEquals(byCount.batches, [2, 2, 1]);
    const bytes = new Uint8Array(10_000);
    const heavy = (name: string) => commitOf({ metas: [{ ...metaOf(name), data: bytes }] });
    const byBytes = setUp({ maxBatchBytes: 25_000 });
    await Promise.all(["a", "b", "c", "d", "e"].map((it) => byBytes.committer.commit(heavy(it))));
    assertEquals(byBytes.batches, [2, 2, 1]);
    const alone = setUp({ maxBatchBytes: 10 });
    await Promise.all(["a", "b"].map((it) => alone.committer.commit(heavy(it))));
    assertEquals(alone.batches, [1, 1]);
  });

  it("refuses what exceeds the queue with the advice to wait, and takes it later", async () => {
    for (const bound of [{ maxQueue: 2 }, { maxQueueBytes: 1600 }]) {
      const { committer } = setUp(bound);
      const waiting = [committer.commit(putOf("a")), committer.commit(putOf("b"))];
      const error = await assertRejects(() => committer.commit(putOf("c")));
      assert(error instanceof HearthError);
      assertEquals(error.code, "RATE_LIMITED");
      assert((error.details?.retryAfterMs ?? 0) > 0);
      await Promise.all(waiting);
      const later = await Promise.all(["c", "d"].map((it) => committer.commit(putOf(it))));
      assertEquals(later.map(seqOf), [3, 4]);
    }
  });

  it("rejects the commits of a batch that fails, and goes on with the next", async () => {
    let isFull = true;
    const { committer, batches } = setUp({ maxBatch: 2 }, () => {
      if (!isFull) return;
      isFull = false;
      throw new HearthError("STORAGE_FULL", "Cannot commit: the database has no room left");
    });
    const results = await Promise.allSettled(
      ["a", "b", "c"].map((it) => committer.commit(putOf(it))),
    );
    assertEquals(results.map((it) => it.status), ["rejected", "rejected", "fulfilled"]);
    assertEquals(batches, [2, 1]);
    assertEquals(seqOf(await committer.commit(putOf("a"))), 2);
  });

  it("finishes what it has when it ends, and takes nothing more", async () => {
    const { committer, store } = setUp({ maxBatch: 1 });
    const waiting = [committer.commit(putOf("a")), committer.commit(putOf("b"))];
    const ended = committer[Symbol.asyncDispose]();
    const error = await assertRejects(() => committer.commit(putOf("c")));
    assertEquals(error instanceof HearthError && error.code, "UNAVAILABLE");
    await ended;
    assertEquals(await store.bounds(ledger), { floor: 0, head: 2 });
    assertEquals((await Promise.all(waiting)).map(seqOf), [1, 2]);
  });
});

describe("createCommitter() on a store that takes two batches at once", () => {
  it("has two on their way, and never three", async () => {
    const { committer, started, end } = setUpGated();
    const all = ["a", "b", "c", "d"].map((it) => committer.commit(putOf(it)));
    await turnsOfTheLoop();
    assertEquals(started, ["a", "b"]);
    // Whoever comes later finds both under way, too.
    all.push(committer.commit(putOf("e")));
    end("a");
    assertEquals(seqOf(await all[0]), 1);
    await turnsOfTheLoop();
    assertEquals(started, ["a", "b", "c"]);
    end("b");
    end("c");
    await turnsOfTheLoop();
    assertEquals(started, ["a", "b", "c", "d", "e"]);
    end("d");
    end("e");
    assertEquals((await Promise.all(all)).map(seqOf), [1, 2, 3, 4, 5]);
  });

  it("has no third on its way when it begins anew while one is", async () => {
    const { committer, started, end } = setUpGated();
    const first = committer.commit(putOf("a"));
    await turnsOfTheLoop();
    const others = ["b", "c"].map((it) => committer.commit(putOf(it)));
    await turnsOfTheLoop();
    assertEquals(started, ["a", "b"]);
    for (const it of ["a", "b"]) end(it);
    await turnsOfTheLoop();
    assertEquals(started, ["a", "b", "c"]);
    end("c");
    assertEquals((await Promise.all([first, ...others])).map(seqOf), [1, 2, 3]);
  });

  it("tells of what was kept in the order in which batches end, before anybody has an ack", async () => {
    const events: string[] = [];
    const { committer, end } = setUpGated({
      maxBatch: 2,
      onCommitted: (_, { seq }) => events.push(`told ${seq}`),
    });
    const all = ["a", "b", "c", "d"].map(async (it) => {
      events.push(`ack ${seqOf(await committer.commit(putOf(it)))}`);
    });
    await turnsOfTheLoop();
    end("a");
    end("c");
    await Promise.all(all);
    const told = ["told 1", "told 2", "told 3", "told 4"];
    assertEquals(events.filter((it) => it.startsWith("told")), told);
    for (const seq of [1, 2, 3, 4]) {
      assert(events.indexOf(`told ${seq}`) < events.indexOf(`ack ${seq}`), events.join(", "));
    }
  });

  it("rejects the commits of the one that fails, and keeps those of the other", async () => {
    const failure = new HearthError("UNAVAILABLE", "Cannot commit: the database took too long");
    for (const failing of ["a", "b"]) {
      const { committer, started, end } = setUpGated();
      const all = Promise.allSettled(["a", "b", "c"].map((it) => committer.commit(putOf(it))));
      await turnsOfTheLoop();
      for (const it of ["a", "b"]) end(it, it === failing ? failure : undefined);
      await turnsOfTheLoop();
      end("c");
      const results = await all;
      const expected = ["a", "b", "c"].map((it) => it === failing ? "rejected" : "fulfilled");
      assertEquals(results.map((it) => it.status), expected);
      assertEquals(started, ["a", "b", "c"]);
      const kept = results.flatMap((it) => it.status === "fulfilled" ? [seqOf(it.value)] : []);
      assertEquals(kept, [1, 2]);
    }
  });

  it("ends when both have ended, whichever does first", async () => {
    for (const order of [["a", "b"], ["b", "a"]]) {
      const [first = "", last = ""] = order;
      const { committer, end } = setUpGated();
      const all = ["a", "b"].map((it) => committer.commit(putOf(it)));
      await turnsOfTheLoop();
      let hasEnded = false;
      const ended = committer[Symbol.asyncDispose]().then(() => (hasEnded = true));
      end(first);
      await all[first === "a" ? 0 : 1];
      await turnsOfTheLoop();
      assertEquals(hasEnded, false);
      end(last);
      await ended;
      assertEquals((await Promise.all(all)).map((it) => it.kind), ["done", "done"]);
    }
  });
});

describe("createCommitter() on a store that takes several batches at once", () => {
  it("has a third on its way once many wait, and never more than the store takes", async () => {
    const { committer, started, end } = setUpGated({ maxBatch: 100 }, 3);
    const all: Promise<Outcome>[] = [];
    const add = async (prefix: string, count: number) => {
      for (let at = 0; at < count; at++) all.push(committer.commit(putOf(`${prefix}${at}`)));
      await turnsOfTheLoop();
    };
    await add("a", 1);
    await add("b", 1);
    await add("c", 31);
    assertEquals(started, ["a0", "b0"]);
    await add("d", 1);
    assertEquals(started, ["a0", "b0", "c0"]);
    await add("e", 64);
    assertEquals(started, ["a0", "b0", "c0"]);
    end("a0");
    await turnsOfTheLoop();
    assertEquals(started, ["a0", "b0", "c0", "e0"]);
    for (const it of ["b0", "c0", "e0"]) end(it);
    const seqs = (await Promise.all(all)).map(seqOf);
    assertEquals(seqs, Array.from({ length: 98 }, (_, at) => at + 1));
  });

  it("lets few wait behind two, also when more than two have been on their way", async () => {
    const { committer, started, end } = setUpGated({ maxBatch: 20 }, 4);
    const all = Array.from({ length: 80 }, (_, at) => committer.commit(putOf(`${at}`)));
    await turnsOfTheLoop();
    // The last twenty are too few for a fourth.
    assertEquals(started, ["0", "20", "40"]);
    end("0");
    await turnsOfTheLoop();
    assertEquals(started, ["0", "20", "40"]);
    end("20");
    await turnsOfTheLoop();
    assertEquals(started, ["0", "20", "40", "60"]);
    for (const it of ["40", "60"]) end(it);
    assertEquals((await Promise.all(all)).map(seqOf), Array.from(all, (_, at) => at + 1));
  });
});

/** Lets everything happen that waits for nothing from outside. */
async function turnsOfTheLoop(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await setImmediate();
}

/** A committer of single commits, unless told otherwise, on a store that ends a batch when told so. */
function setUpGated(options: Omit<CommitterOptions, "store"> = {}, batchesAtOnce = 2) {
  const store = createMemoryMetaStore();
  const started: string[] = [];
  const ends = new Map<string, PromiseWithResolvers<void>>();
  const commit = async (commits: readonly Commit[]): Promise<readonly Outcome[]> => {
    const name = nameOf(commits[0]);
    const ended = Promise.withResolvers<void>();
    started.push(name);
    ends.set(name, ended);
    await ended.promise;
    return await store.commit(commits);
  };
  const end = (name: string, failure?: Error): void => {
    const ended = ends.get(name);
    assert(ended, `Batch "${name}" is not under way: ${started.join(", ")}`);
    if (failure) ended.reject(failure);
    else ended.resolve();
  };
  const committer = createCommitter({
    maxBatch: 1,
    ...options,
    store: { batchesAtOnce, commit },
  });
  return { committer, started, end };
}

function nameOf(commit: Commit | undefined): string {
  const [blob] = commit?.blobs ?? [];
  return new TextDecoder().decode(blob?.bytes);
}

/** A committer on a store in memory that notes the size of each batch. */
function setUp(
  options: Omit<CommitterOptions, "store"> = {},
  before: () => void | Promise<void> = () => {},
) {
  const store = createMemoryMetaStore();
  const batches: number[] = [];
  const commit = async (commits: readonly Commit[]): Promise<readonly Outcome[]> => {
    batches.push(commits.length);
    await before();
    return await store.commit(commits);
  };
  return {
    committer: createCommitter({ ...options, store: { batchesAtOnce: 1, commit } }),
    store,
    batches,
  };
}

function seqOf(outcome: Outcome | undefined): number {
  assert(outcome?.kind === "done", `Expected the commit to be done, not ${outcome?.kind}`);
  return outcome.seq;
}
