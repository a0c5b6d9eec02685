/** Writes random batches to ledgers that others write to as well, and notes what it is told. */

import { assert } from "#assert";
import type { Commit, MetaStore, Outcome } from "../../../src/backend/stores/meta_store.ts";
import type { PostgresProxy } from "../../harness/postgres_proxy.ts";
import type { Random } from "../../random.ts";
import { blobOf, cidOf, commitOf, metaOf, putOf, refOf } from "../../conformance/fixtures.ts";

/** What was called, and what was told of it. */
export type Told =
  | { readonly kind: "commit"; readonly commit: Commit; readonly outcome: Outcome }
  | {
    readonly kind: "delete";
    readonly ledger: string;
    readonly cid: string;
    readonly seq: number;
  };

/** Options of {@linkcode RandomWriter}. */
export interface RandomWriterOptions {
  /** What its metas are called. */
  readonly name: string;
  readonly store: MetaStore;
  readonly proxy: PostgresProxy;
  readonly ledgers: readonly string[];
  readonly random: Random;
  /** What all writers together were told: it also tells each of them what to refer to. */
  readonly told: Told[];
  /** Whether connections are cut, instead of metas deleted: a repeated deletion tells a later head. */
  readonly cuts: boolean;
}

/** A server with two batches on their way. */
export class RandomWriter {
  readonly #options: RandomWriterOptions;
  /** Its metas that nobody has deleted. */
  readonly #own: { readonly ledger: string; readonly cid: string }[] = [];
  readonly #sent: Commit[] = [];
  #count = 0;

  constructor(options: RandomWriterOptions) {
    this.#options = options;
  }

  get store(): MetaStore {
    return this.#options.store;
  }

  get proxy(): PostgresProxy {
    return this.#options.proxy;
  }

  /** Calls `commit` twice at once, so many times, with whatever may come. */
  async write(rounds: number): Promise<void> {
    const { random, cuts, proxy } = this.#options;
    for (let round = 0; round < rounds; round++) {
      if (cuts && random.below(2) === 0) {
        proxy.cutNext(random.pick(["before-commit", "after-commit", random.below(4000)]));
      }
      const first = this.#commit(this.#batch(() => this.#draw()));
      const deletion = !cuts && random.below(4) === 0 ? this.#delete() : undefined;
      const second = this.#commit(this.#batch(() => this.#draw()));
      this.#checkOrder(await first, await second);
      await deletion;
    }
    proxy.cutNext(undefined);
  }

  /** As `write`, with puts alone: nobody needs to ask for anything, once memory is relied on. */
  async put(rounds: number): Promise<void> {
    const { cuts, proxy, random } = this.#options;
    for (let round = 0; round < rounds; round++) {
      if (cuts && random.below(8) === 0) proxy.cutNext(random.below(4000));
      const [first, second] = [1, 2].map(() => this.#commit(this.#batch(() => this.#drawPut())));
      this.#checkOrder(await first ?? [], await second ?? []);
    }
    proxy.cutNext(undefined);
  }

  #batch(draw: () => Commit): readonly Commit[] {
    return Array.from({ length: 1 + this.#options.random.below(4) }, draw);
  }

  async #commit(batch: readonly Commit[]): Promise<Told[]> {
    const { told, store } = this.#options;
    const outcomes = await store.commit(batch);
    const all = batch.map((commit, at): Told => {
      const outcome = outcomes[at];
      assert(outcome);
      if (outcome.kind === "done") {
        const { ledger } = commit;
        this.#own.push(...outcome.fresh.map(({ cid }) => ({ ledger, cid })));
      }
      return { kind: "commit", commit, outcome };
    });
    told.push(...all);
    return all;
  }

  /** What was called first comes first, in each ledger. */
  #checkOrder(first: readonly Told[], second: readonly Told[]): void {
    for (const ledger of this.#options.ledgers) {
      const [before = [], behind = []] = [first, second].map((all) => seqsOf(all, ledger));
      assert(Math.max(0, ...before) < Math.min(Infinity, ...behind), `${before} < ${behind}`);
    }
  }

  /** Each meta once, so that the deletion always takes a seq. */
  async #delete(): Promise<void> {
    const { random, told, store } = this.#options;
    const [meta] = this.#own.splice(random.below(this.#own.length), 1);
    if (!meta) return;
    told.push({ kind: "delete", ...meta, seq: await store.deleteMetas(meta.ledger, [meta.cid]) });
  }

  /** Every new commit brings a meta of its own: its seq tells where it stands. */
  #draw(): Commit {
    const { random } = this.#options;
    if (this.#sent.length > 0 && random.below(12) === 0) return random.pick(this.#sent);
    const commit = this.#drawNew();
    this.#sent.push(commit);
    return commit;
  }

  #drawPut(): Commit {
    const { name: writer, ledgers, random } = this.#options;
    const ledger = random.pick(ledgers);
    const recent = this.#done(ledger).flatMap((it) => it.fresh).slice(-4).map(({ cid }) => cid);
    const supersedes = recent.filter(() => random.below(2) === 0);
    const keys = [`key ${random.below(12)}`];
    return putOf(`${writer} ${++this.#count}`, { ledger, supersedes, keys });
  }

  #drawNew(): Commit {
    const { random } = this.#options;
    const put = this.#drawPut();
    const { ledger } = put;
    const name = `${this.#options.name} ${this.#count}`;
    const shared = `shared ${random.below(5)}`;
    switch (random.below(16)) {
      case 0: // A blob that others bring too, with other bytes.
        return { ...put, blobs: [...put.blobs, blobOf(shared, name)] };
      case 1: // It leaves the inventory, if it is there.
        return { ...put, retires: [refOf(shared)] };
      case 2: // It comes back into the inventory.
        return { ...put, metas: [metaOf(name, [refOf(name), ...this.#known(ledger, shared)])] };
      case 3:
        return commitOf({ ledger, metas: [metaOf(name, [refOf("absent")])], keys: ["absent"] });
      default:
        return put;
    }
  }

  #known(ledger: string, name: string) {
    const blobs = this.#done(ledger).flatMap((it) => it.blobs);
    return blobs.some(({ cid }) => cid === cidOf(name)) ? [refOf(name)] : [];
  }

  /** Outcomes of what was kept in a ledger, whoever wrote it. */
  #done(ledger: string) {
    return this.#options.told.flatMap((it) =>
      it.kind === "commit" && it.commit.ledger === ledger && it.outcome.kind === "done"
        ? [it.outcome]
        : []
    );
  }
}

/** Seqs of what was new in a ledger. */
function seqsOf(all: readonly Told[], ledger: string): readonly number[] {
  return all.flatMap((it) =>
    it.kind === "commit" && it.commit.ledger === ledger && it.outcome.kind === "done" &&
      it.outcome.fresh.length > 0
      ? [it.outcome.seq]
      : []
  );
}
