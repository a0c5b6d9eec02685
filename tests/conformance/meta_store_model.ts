/** Random commits against a MetaStore and a plain list of what was accepted, side by side. */

import { it } from "node:test";
import { assert, assertEquals } from "#assert";
import type { Commit, MetaStore, NewBlob } from "../../src/backend/stores/meta_store.ts";
import type { BlobRef, Meta } from "../../src/protocol/model.ts";
import { type Random, seededRandom, testSeed } from "../random.ts";
import { blobOf, cidOf, commitOf, metaOf, refOf } from "./fixtures.ts";

/** Declares the test. @param open makes an empty store */
export function metaStoreModelTest(open: () => Promise<MetaStore>): void {
  it("agrees with a plain model over random commits, repeats and deletions", async () => {
    const random = seededRandom(testSeed());
    for (let round = 0; round < rounds; round++) {
      await using store = await open();
      const run = new Run(store, random);
      for (let step = 0; step < steps; step++) await run.step();
      await run.compare();
    }
  });
}

const rounds = 6;
const steps = 60;
const ledgers = ["acme/todos", "acme/notes", "other/todos"];
const blobNames = ["p", "q", "r", "s", "t", "u"];
const metaNames = Array.from({ length: 40 }, (_, at) => `m${at}`);

interface Entry {
  readonly seq: number;
  readonly meta: Meta;
  covered: boolean;
  deleted: boolean;
}

/** One ledger in the dullest form there is: lists, searched from the start. */
class Model {
  head = 0;
  floor = 0;
  readonly entries: Entry[] = [];
  readonly keys: { readonly key: string; readonly seq: number }[] = [];
  readonly blobs: { readonly blob: NewBlob; retired: boolean }[] = [];

  find(cid: string): Entry | undefined {
    return this.entries.find(({ meta }) => meta.cid === cid);
  }

  findBlob(ref: BlobRef) {
    return this.blobs.find(({ blob }) => blob.cid === ref.cid && blob.store === ref.store);
  }

  /** What the commit should come to, written down if it is accepted. */
  commit(commit: Commit): unknown {
    const fresh = commit.metas.filter(({ cid }) => !this.find(cid));
    const missing = fresh.flatMap((meta) => meta.blobs).filter((ref) =>
      !this.findBlob(ref) && !commit.blobs.some(({ cid }) => cid === ref.cid)
    );
    if (missing.length > 0) return { kind: "missing", blobs: unique(missing) };
    const keys = commit.keys.filter((key) => !this.keys.some((it) => it.key === key));
    const blobs = commit.blobs.filter((blob) => !this.findBlob(blob));
    this.keys.push(...keys.map((key) => ({ key, seq: this.head + 1 })));
    this.blobs.push(...blobs.map((blob) => ({ blob, retired: false })));
    for (const meta of fresh) {
      this.entries.push({ seq: ++this.head, meta, covered: false, deleted: false });
    }
    const seqs = commit.metas.map(({ cid }) => this.find(cid)?.seq ?? 0);
    const seq = seqs.length > 0 ? Math.max(...seqs) : this.head;
    for (const entry of this.entries) {
      const own = commit.metas.some(({ cid }) => cid === entry.meta.cid);
      const named = commit.supersedes.includes(entry.meta.cid);
      if (named && !own && seqs.length > 0 && entry.seq < seq) entry.covered = true;
    }
    for (const it of this.blobs) {
      const named = fresh.some((meta) => meta.blobs.some(({ cid }) => cid === it.blob.cid));
      const retired = commit.retires.some(({ cid }) => cid === it.blob.cid);
      if (named) it.retired = false;
      if (retired && (fresh.length > 0 || seqs.length === 0)) it.retired = true;
    }
    return { kind: "done", seq, fresh, keys, blobs };
  }

  delete(cids: readonly string[]): number {
    const found = cids.flatMap((cid) => this.find(cid) ?? []).filter((it) => !it.deleted);
    for (const it of found) it.deleted = true;
    if (found.length > 0) this.floor = ++this.head;
    return this.head;
  }
}

class Run {
  readonly #store: MetaStore;
  readonly #random: Random;
  readonly #models = new Map<string, Model>();
  readonly #sent: Commit[] = [];

  constructor(store: MetaStore, random: Random) {
    this.#store = store;
    this.#random = random;
  }

  async step(): Promise<void> {
    if (this.#random.below(12) === 0) return await this.#delete();
    const batch = Array.from({ length: 1 + this.#random.below(5) }, () => this.#draw());
    this.#sent.push(...batch);
    const expected = batch.map((commit) => {
      const model = this.#models.get(commit.ledger) ?? new Model();
      const outcome = model.commit(commit);
      if (isDone(outcome)) this.#models.set(commit.ledger, model);
      return outcome;
    });
    assertEquals<readonly unknown[]>(await this.#store.commit(batch), expected);
  }

  /** Compares everything that can be read. */
  async compare(): Promise<void> {
    for (const ledger of ledgers) await this.#compareLedger(ledger, this.#models.get(ledger));
  }

  async #delete(): Promise<void> {
    const ledger = this.#random.pick(ledgers);
    const cids = [cidOf(this.#random.pick(metaNames)), cidOf(this.#random.pick(metaNames))];
    const expected = this.#models.get(ledger)?.delete(cids) ?? 0;
    assertEquals(await this.#store.deleteMetas(ledger, cids), expected);
  }

  #draw(): Commit {
    const random = this.#random;
    if (this.#sent.length > 0 && random.below(3) === 0) return random.pick(this.#sent);
    const blobs = this.#some(blobNames, 3).map((name) => blobOf(name, `${name}${random.below(3)}`));
    return commitOf({
      ledger: random.pick(ledgers),
      blobs,
      metas: this.#some(metaNames, 3).map((name) => metaOf(name, blobsOf(name))),
      keys: this.#some(["k", "l", "m", "n"], 2),
      supersedes: this.#some(metaNames, 4).map(cidOf),
      retires: this.#some(blobNames, 2).map((name) => refOf(name)),
    });
  }

  #some(names: readonly string[], most: number): readonly string[] {
    const drawn = Array.from(
      { length: this.#random.below(most + 1) },
      () => this.#random.pick(names),
    );
    return [...new Set(drawn)];
  }

  async #compareLedger(ledger: string, model: Model | undefined): Promise<void> {
    const store = this.#store;
    const bounds = model && { floor: model.floor, head: model.head };
    assertEquals(await store.bounds(ledger), bounds);
    if (!model) return;
    const live = model.entries.filter((it) => !it.deleted);
    assertEquals(await store.heads(ledger), {
      metas: live.filter((it) => !it.covered).map(({ meta }) => meta),
      keys: model.keys.map(({ key }) => key),
      seq: model.head,
    });
    const refs = blobNames.map((name) => refOf(name));
    const blobs = refs.flatMap((ref) => model.findBlob(ref)?.blob ?? []);
    assertEquals<readonly unknown[]>(await store.findBlobs(ledger, refs), blobs);
    const inUse = model.blobs.filter((it) => !it.retired).map(({ blob }) => blob.cid).reverse();
    assertEquals((await store.inventory(ledger, 99)).map(({ cid }) => cid), inUse);
    await this.#compareLog(ledger, model, live);
  }

  async #compareLog(ledger: string, model: Model, live: readonly Entry[]): Promise<void> {
    let after = model.floor + this.#random.below(model.head - model.floor + 1);
    const later = live.filter(({ seq }) => seq > after);
    assertEquals(later.map(({ seq }) => seq), later.map((_, at) => after + 1 + at), "no gaps");
    const keys = model.keys.filter(({ seq }) => seq > after && seq <= model.head);
    const found = { metas: [] as Meta[], keys: [] as string[] };
    for (let more = true; more;) {
      const page = await this.#store.log(ledger, after, 1 + this.#random.below(4));
      assert(page.seq > after || !page.more, "a page goes on");
      assertEquals(page.floor, model.floor);
      found.metas.push(...page.metas);
      found.keys.push(...page.keys);
      ({ seq: after, more } = page);
    }
    assertEquals(after, model.head);
    assertEquals(found.metas, later.map(({ meta }) => meta));
    assertEquals(found.keys, keys.map(({ key }) => key));
  }
}

/** A meta always names the same blobs: its CID stands for its content. */
function blobsOf(name: string): readonly BlobRef[] {
  const at = Number(name.slice(1));
  return at % 3 === 0 ? [] : blobNames.slice(at % 5, at % 5 + at % 3).map((it) => refOf(it));
}

function unique(refs: readonly BlobRef[]): readonly BlobRef[] {
  return refs.filter((ref, at) => refs.findIndex(({ cid }) => cid === ref.cid) === at);
}

function isDone(outcome: unknown): boolean {
  return typeof outcome === "object" && outcome !== null && "kind" in outcome &&
    outcome.kind === "done";
}
