/** What happens in one turn is told in few notifications, in order and without a gap. */

import { test } from "node:test";
import { assert, assertEquals } from "#assert";
import { createCommitter } from "../../src/backend/committer.ts";
import { Hub } from "../../src/backend/hub.ts";
import { publishAlone } from "../../src/backend/publisher.ts";
import { createMemoryMetaStore } from "../../src/backend/stores/memory.ts";
import type { Commit } from "../../src/backend/stores/meta_store.ts";
import { parseCursor } from "../../src/protocol/cursor.ts";
import { decodeFrames } from "../../src/protocol/frames.ts";
import type { Changes } from "../../src/protocol/model.ts";
import { parseNotice } from "../../src/protocol/parse.ts";
import { blobOf, commitOf, ledger, metaOf, putOf } from "../conformance/fixtures.ts";

function setUp() {
  const metaStore = createMemoryMetaStore();
  const hub = new Hub(metaStore.epoch);
  const publisher = publishAlone(hub, metaStore);
  const committer = createCommitter({
    store: metaStore,
    onCommitted: (commit, done) => publisher.committed(commit, done),
  });
  /** All of them in one batch. */
  const commitTogether = (commits: readonly Commit[]) =>
    Promise.all(commits.map((it) => committer.commit(it)));
  return { hub, metaStore, publisher, commitTogether };
}

/** Listens; notes what it is told, and that positions follow each other. */
function hear(hub: Hub, name = ledger) {
  const heard: Changes[] = [];
  let position = 0;
  const stop = hub.listen(name, {
    position,
    onChange: ({ after, seq, frame }) => {
      assertEquals(after, position);
      position = seq;
      const [notice] = decodeFrames(frame);
      assert(notice?.kind === "notification");
      const changes = parseNotice("metas", notice.params);
      assertEquals(parseCursor(changes.after ?? "")?.seq, after);
      assertEquals(parseCursor(changes.cursor)?.seq, seq);
      heard.push(changes);
    },
    onMoved: () => {},
    onTold: () => {},
  });
  return { heard, stop };
}

/** The metas of each notification. */
const cidsOf = (heard: readonly Changes[]) => heard.map(({ metas }) => metas.map(({ cid }) => cid));

test("commits of one batch are told in one notification, with all that belongs to them", async () => {
  const { hub, commitTogether } = setUp();
  const { heard } = hear(hub);
  const blob = blobOf("a blob");
  const puts = [putOf("a", { keys: ["k"] }), putOf("b"), putOf("c", { keys: ["l"] })];
  await commitTogether([...puts, commitOf({ metas: [metaOf("d")], blobs: [blob] })]);
  const metas = [...puts.flatMap((it) => it.metas), metaOf("d")];
  assertEquals(cidsOf(heard), [metas.map(({ cid }) => cid)]);
  assertEquals(heard[0]?.keys, ["k", "l"]);
  assert(heard[0]?.blobs.some(({ cid }) => cid === blob.cid));
});

test("commits of one batch in several ledgers are told to the listeners of each", async () => {
  const { hub, commitTogether } = setUp();
  const one = hear(hub);
  const other = hear(hub, "acme/other");
  const [a, b, c] = [putOf("a"), putOf("b", { ledger: "acme/other" }), putOf("c")];
  await commitTogether([a, b, c]);
  assertEquals(cidsOf(one.heard), [[a, c].flatMap((it) => it.metas.map(({ cid }) => cid))]);
  assertEquals(cidsOf(other.heard), [b.metas.map(({ cid }) => cid)]);
});

test("what is told is told before the commit's own caller goes on", async () => {
  const { hub, commitTogether } = setUp();
  const { heard } = hear(hub);
  await commitTogether([putOf("a")]);
  assertEquals(heard.length, 1);
});

test("large commits of one batch are told one by one, in their order", async () => {
  const { hub, commitTogether } = setUp();
  const { heard } = hear(hub);
  const metas = ["a", "b", "c"].map((it) => metaOf(it.repeat(40_000)));
  await commitTogether(metas.map((meta) => commitOf({ metas: [meta] })));
  assertEquals(cidsOf(heard), metas.map(({ cid }) => [cid]));
});

test("keys that come alone are told by themselves, between the metas around them", async () => {
  const { hub, commitTogether } = setUp();
  const { heard } = hear(hub);
  const [a, b] = [putOf("a"), putOf("b")];
  await commitTogether([a, commitOf({ keys: ["alone"] }), b]);
  assertEquals(cidsOf(heard), [a, { metas: [] }, b].map((it) => it.metas.map(({ cid }) => cid)));
  assertEquals(heard.map(({ keys }) => keys), [[], ["alone"], []]);
});

test("how far a ledger goes is told behind what it got to by this turn's commits", () => {
  const { hub } = setUp();
  const order: string[] = [];
  hub.listen(ledger, {
    position: 0,
    onChange: ({ seq }) => void order.push(`change ${seq}`),
    onMoved: (seq) => void order.push(`moved ${seq}`),
    onTold: () => {},
  });
  const put = putOf("a");
  hub.publish(put, { kind: "done", seq: 1, fresh: put.metas, keys: [], blobs: [] });
  hub.moved(ledger, 2);
  assertEquals(order, ["change 1", "moved 2"]);
});
