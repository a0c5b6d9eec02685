/** Random commits against a MetaStore and a plain list of what was accepted, side by side. */

import { it } from "node:test";
import { assertEquals } from "#assert";
import type { Commit, MetaStore } from "../../src/backend/stores/meta_store.ts";
import type { BlobRef } from "../../src/protocol/model.ts";
import { type Random, seededRandom, testSeed } from "../random.ts";
import { blobOf, cidOf, commitOf, metaOf, refOf } from "./fixtures.ts";
import { LedgerModel } from "./ledger_model.ts";
import { toldOf } from "./outcomes.ts";

/** Declares the test. @param open makes an empty store */
export function metaStoreModelTest(open: () => Promise<MetaStore>): void {
  it("agrees with a plain model over random commits, repeats and deletions", bounded, async () => {
    const random = seededRandom(testSeed());
    for (let round = 0; round < rounds; round++) {
      await using store = await open();
      const run = new Run(store, random);
      for (let step = 0; step < steps; step++) await run.step();
      await run.compare();
    }
  });
}

/** Bun gives a test five seconds, which a database on a busy machine may need. */
const bounded = { timeout: 120_000 };
const rounds = 6;
const steps = 60;
const ledgers = ["acme/todos", "acme/notes", "other/todos"];
const blobNames = ["p", "q", "r", "s", "t", "u"];
const metaNames = Array.from({ length: 40 }, (_, at) => `m${at}`);

class Run {
  readonly #store: MetaStore;
  readonly #random: Random;
  readonly #models = new Map<string, LedgerModel>();
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
      const model = this.#models.get(commit.ledger) ?? new LedgerModel();
      const outcome = model.commit(commit);
      if (isDone(outcome)) this.#models.set(commit.ledger, model);
      return outcome;
    });
    const outcomes = await this.#store.commit(batch);
    assertEquals<readonly unknown[]>(outcomes.map(toldOf), expected);
  }

  /** Compares everything that can be read. */
  async compare(): Promise<void> {
    const options = { random: this.#random, refs: blobNames.map((name) => refOf(name)) };
    for (const ledger of ledgers) {
      const model = this.#models.get(ledger);
      if (model) await model.compare(this.#store, ledger, options);
      else assertEquals(await this.#store.bounds(ledger), undefined);
    }
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
}

/** A meta always names the same blobs: its CID stands for its content. */
function blobsOf(name: string): readonly BlobRef[] {
  const at = Number(name.slice(1));
  return at % 3 === 0 ? [] : blobNames.slice(at % 5, at % 5 + at % 3).map((it) => refOf(it));
}

function isDone(outcome: unknown): boolean {
  return typeof outcome === "object" && outcome !== null && "kind" in outcome &&
    outcome.kind === "done";
}
