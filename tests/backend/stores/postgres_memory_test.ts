/** What a server plans from memory, what it asks the database for, and how much it remembers. */

import { describe, it } from "node:test";
import { assert, assertEquals } from "#assert";
import type { Commit, Outcome } from "../../../src/backend/stores/meta_store.ts";
import { changesOf, LedgerDraft } from "../../../src/backend/stores/postgres_batch.ts";
import { LedgerMemory } from "../../../src/backend/stores/postgres_memory.ts";
import {
  blobOf,
  cidOf,
  commitOf,
  ledger,
  metaOf,
  putOf,
  refOf,
} from "../../conformance/fixtures.ts";

const notes = "acme/notes";

/** What is known of a ledger when it is told to memory. */
interface Known {
  readonly ledger?: string;
  readonly metas?: readonly string[];
  readonly keys?: readonly string[];
  readonly stamp?: number;
}

describe("LedgerMemory", () => {
  it("plans what is new on the counters and the stamp of the ledger", () => {
    const memory = remembering({ metas: ["a", "b"], keys: ["k"], stamp: 7 });
    const put = putOf("c", { keys: ["l"] });
    const planned = memory.plan([put]);
    assertEquals<readonly Outcome[] | undefined>(planned?.outcomes, [
      { kind: "done", seq: 3, fresh: put.metas, keys: ["l"], blobs: put.blobs, items: 3 },
    ]);
    const changes = changesOf(planned?.drafts ?? []);
    assertEquals(changes.ledgers, [{ ledger, head: 3, items: 3, stamp: 7 }]);
    assertEquals(changes.metas.map(({ seq, meta }) => [seq, meta.cid]), [[3, cidOf("c")]]);
    assertEquals(changes.keys, [{ ledger, seq: 3, item: 2, key: "l" }]);
    assertEquals(changes.blobs.map(({ item, blob }) => [item, blob.cid]), [[3, cidOf("c")]]);
  });

  it("plans the next batch on what the one before will have written", () => {
    const memory = remembering({ metas: ["a"], stamp: 7 });
    const first = memory.plan([putOf("b", { keys: ["k"] })]);
    assert(first);
    memory.remember(first.drafts, 8);
    const next = memory.plan([putOf("c", { keys: ["k", "l"], supersedes: [cidOf("b")] })]);
    assertEquals(next?.outcomes.map((it) => it.kind === "done" && [it.seq, it.keys]), [[3, ["l"]]]);
    const { ledgers, superseded } = changesOf(next?.drafts ?? []);
    assertEquals(ledgers, [{ ledger, head: 3, items: 4, stamp: 8 }]);
    assertEquals(superseded, [{ ledger, seq: 2 }]);
  });

  it("answers what refers to metas, keys and blobs that are known to be there", () => {
    const known: Readonly<Record<string, readonly Commit[]>> = {
      "a meta to supersede": [putOf("c", { supersedes: [cidOf("a"), cidOf("b")] })],
      "a meta to supersede, twice": ["c", "d"].map((it) => putOf(it, { supersedes: [cidOf("a")] })),
      "a key": [putOf("c", { keys: ["k"] })],
      "a key alone": [commitOf({ keys: ["k"] })],
      "a blob of the batch": [putOf("c"), commitOf({ metas: [metaOf("d", [refOf("c")])] })],
      "a blob of the batch to retire": [putOf("c"), putOf("d", { retires: [refOf("c")] })],
      "a blob that comes twice": [putOf("c"), commitOf({ blobs: [blobOf("c", "other")] })],
      "a blob that it retires itself": [putOf("c", { retires: [refOf("c")] })],
      "nothing": [commitOf({})],
    };
    for (const [what, commits] of Object.entries(known)) {
      const planned = remembering({ metas: ["a", "b"], keys: ["k"] }).plan(commits);
      assertEquals(planned?.outcomes.map((it) => it.kind), commits.map(() => "done"), what);
      const { retired, unused, keys } = changesOf(planned?.drafts ?? []);
      // The statement that writes has no part for any of these.
      assertEquals({ retired, unused, keys }, { retired: [], unused: [], keys: [] }, what);
    }
  });

  it("asks for whatever else a commit refers to, and for the whole of its batch", () => {
    const unknown: Readonly<Record<string, Commit>> = {
      "a meta to supersede": putOf("c", { supersedes: [cidOf("unknown")] }),
      "a repeat": putOf("a"),
      "an old blob that a meta names": commitOf({ metas: [metaOf("c", [refOf("a")])] }),
      "an old blob to retire": commitOf({ retires: [refOf("a")] }),
      "a blob of the same name in the other store": commitOf({
        blobs: [blobOf("c")],
        metas: [metaOf("c", [refOf("c", "file")])],
      }),
      "another ledger": putOf("c", { ledger: notes }),
    };
    for (const [what, commit] of Object.entries(unknown)) {
      const memory = remembering({ metas: ["a", "b"] });
      assertEquals(memory.plan([putOf("x"), commit, putOf("y")]), undefined, what);
      // Nothing of the attempt remains.
      assertEquals(seqsOf(memory.plan([putOf("x")])), [3], what);
    }
    const twice = [putOf("c"), putOf("c")];
    assertEquals(remembering({ metas: ["a"] }).plan(twice), undefined);
  });

  it("remembers no ledger that was not made", () => {
    const memory = new LedgerMemory();
    memory.remember([new LedgerDraft({ ledger, head: 0, items: 0, stamp: 0 }, true)], 7);
    assertEquals(memory.plan([putOf("a")]), undefined);
  });

  it("forgets a ledger of whose last change nobody knows, and nothing else", () => {
    const memory = remembering({ metas: ["a"] }, { ledger: notes, metas: ["a", "b"] });
    memory.forget([{ ledger }]);
    assertEquals(memory.plan([putOf("c")]), undefined);
    assertEquals(seqsOf(memory.plan([putOf("c", { ledger: notes })])), [3]);
    learn(memory, { metas: ["a", "b", "d"] });
    assertEquals(seqsOf(memory.plan([putOf("c")])), [4]);
  });

  it("asks the longer, the more often in a row a ledger was not as remembered", () => {
    const memory = remembering({});
    const asked = Array.from({ length: 9 }, () => {
      memory.doubt([{ ledger }]);
      return asksOf(memory);
    });
    assertEquals(asked, [0, 1, 3, 7, 15, 31, 63, 64, 64]);
    memory.trust([{ ledger }]);
    memory.doubt([{ ledger }]);
    assertEquals(asksOf(memory), 0);
  });

  it("doubts one ledger and relies on another", () => {
    const memory = remembering({}, { ledger: notes });
    for (let time = 0; time < 3; time++) memory.doubt([{ ledger }]);
    learn(memory, {});
    assertEquals(memory.plan([putOf("a")]), undefined);
    assertEquals(seqsOf(memory.plan([putOf("a", { ledger: notes })])), [1]);
    assertEquals(asksOf(memory), 2);
  });

  it("trusts all again when it doubts too many", () => {
    const memory = new LedgerMemory();
    for (let time = 0; time < 9; time++) memory.doubt([{ ledger }]);
    for (let at = 1; at < 10_000; at++) memory.doubt([{ ledger: `acme/${at}` }]);
    assert(asksOf(memory) > 0);
    memory.doubt([{ ledger: notes }]);
    assertEquals(asksOf(memory), 0);
  });

  it("remembers the youngest metas and keys of a ledger", () => {
    const many = Array.from({ length: 1025 }, (_, at) => `${at}`);
    const memory = remembering({ metas: many, keys: many });
    assertEquals(memory.plan([putOf("x", { supersedes: [cidOf("0")] })]), undefined);
    const planned = memory.plan([putOf("x", { supersedes: [cidOf("1")], keys: ["0", "1"] })]);
    const { superseded, keys } = changesOf(planned?.drafts ?? []);
    assertEquals(superseded, [{ ledger, seq: 2 }]);
    // The statement finds the oldest, should it be there.
    assertEquals(keys.map((it) => it.key), ["0"]);
  });

  it("forgets ledgers that rest when all names weigh too much", () => {
    const long = "x".repeat(8000);
    const keys = Array.from({ length: 1000 }, (_, at) => `${at} ${long}`);
    const all = ["acme/1", "acme/2", "acme/3", "acme/4"];
    const memory = remembering(...all.map((it) => ({ ledger: it, keys })));
    assertEquals(all.filter((it) => memory.plan([putOf("a", { ledger: it })])), all);
    // The first is used, so that the second has rested longest.
    learn(memory, { ledger: "acme/1" });
    learn(memory, { ledger: "acme/5", keys });
    const known = [...all, "acme/5"].filter((it) => memory.plan([putOf("a", { ledger: it })]));
    assertEquals(known, ["acme/1", "acme/3", "acme/4", "acme/5"]);
    memory.forget(known.map((it) => ({ ledger: it })));
    // What was forgotten weighs nothing any more, keys beyond the youngest included.
    for (const it of all) {
      learn(memory, {
        ledger: it,
        keys: [...keys, ...keys.map((key) => `2 ${key}`)],
      });
    }
    assertEquals(all.filter((it) => memory.plan([putOf("a", { ledger: it })])), all);
  });

  it("forgets ledgers that rest when they are too many", () => {
    const memory = remembering({ ledger: notes, metas: ["a"] });
    for (let at = 0; at < 70_000; at++) learn(memory, { ledger: `acme/${at}` });
    assertEquals(memory.plan([putOf("x", { ledger: notes })]), undefined);
    assertEquals(seqsOf(memory.plan([putOf("x", { ledger: "acme/69999" })])), [1]);
  });
});

function remembering(...all: readonly Known[]): LedgerMemory {
  const memory = new LedgerMemory();
  for (const known of all) learn(memory, known);
  return memory;
}

/** Tells memory of a ledger that holds these metas as 1, 2, 3 …, and these keys. */
function learn(
  memory: LedgerMemory,
  { ledger: name = ledger, metas = [], keys = [], stamp = 1 }: Known,
): void {
  const draft = new LedgerDraft(
    { ledger: name, head: metas.length, items: keys.length, stamp: 0 },
    false,
  );
  for (const [at, meta] of metas.entries()) draft.knowMeta(cidOf(meta), at + 1);
  for (const key of keys) draft.knowKey(key);
  memory.remember([draft], stamp);
}

/** How many batches ask although the ledger is told anew before each. */
function asksOf(memory: LedgerMemory): number {
  for (let asked = 0;; asked++) {
    learn(memory, {});
    if (memory.plan([putOf("a")])) return asked;
  }
}

function seqsOf(planned: { readonly outcomes: readonly Outcome[] } | undefined) {
  return planned?.outcomes.map((it) => it.kind === "done" ? it.seq : it.kind);
}
