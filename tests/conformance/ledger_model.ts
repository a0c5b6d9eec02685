/** One ledger in the dullest form there is, as judge of stores: lists, searched from the start. */

import { assert, assertEquals } from "#assert";
import type { Commit, MetaStore, NewBlob } from "../../src/backend/stores/meta_store.ts";
import type { BlobRef, Meta } from "../../src/protocol/model.ts";
import type { Random } from "../random.ts";

interface Entry {
  readonly seq: number;
  readonly meta: Meta;
  covered: boolean;
  deleted: boolean;
}

/** What a ledger should hold. */
export class LedgerModel {
  head = 0;
  floor = 0;
  readonly entries: Entry[] = [];
  readonly keys: { readonly key: string; readonly seq: number }[] = [];
  readonly blobs: { readonly blob: NewBlob; retired: boolean }[] = [];

  /** What the commit should come to, written down if it is accepted. */
  commit(commit: Commit): unknown {
    const fresh = commit.metas.filter(({ cid }) => !this.#find(cid));
    const missing = fresh.flatMap((meta) => meta.blobs).filter((ref) =>
      !this.#findBlob(ref) && !commit.blobs.some(({ cid }) => cid === ref.cid)
    );
    if (missing.length > 0) return { kind: "missing", blobs: unique(missing) };
    const keys = commit.keys.filter((key) => !this.keys.some((it) => it.key === key));
    const blobs = commit.blobs.filter((blob) => !this.#findBlob(blob));
    this.keys.push(...keys.map((key) => ({ key, seq: this.head + 1 })));
    this.blobs.push(...blobs.map((blob) => ({ blob, retired: false })));
    for (const meta of fresh) {
      this.entries.push({ seq: ++this.head, meta, covered: false, deleted: false });
    }
    const seqs = commit.metas.map(({ cid }) => this.#find(cid)?.seq ?? 0);
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

  /** The head behind the deletion. */
  delete(cids: readonly string[]): number {
    const found = cids.flatMap((cid) => this.#find(cid) ?? []).filter((it) => !it.deleted);
    for (const it of found) it.deleted = true;
    if (found.length > 0) this.floor = ++this.head;
    return this.head;
  }

  /** Compares everything that can be read of a ledger. @param refs blobs to look for */
  async compare(
    store: MetaStore,
    ledger: string,
    { random, refs }: { readonly random: Random; readonly refs: readonly BlobRef[] },
  ): Promise<void> {
    assertEquals(await store.bounds(ledger), { floor: this.floor, head: this.head });
    const live = this.entries.filter((it) => !it.deleted);
    assertEquals(await store.heads(ledger), {
      metas: live.filter((it) => !it.covered).map(({ meta }) => meta),
      keys: this.keys.map(({ key }) => key),
      seq: this.head,
    });
    const blobs = refs.flatMap((ref) => this.#findBlob(ref)?.blob ?? []);
    assertEquals<readonly unknown[]>(await store.findBlobs(ledger, refs), blobs);
    const inUse = this.blobs.filter((it) => !it.retired).map(({ blob }) => blob.cid).reverse();
    assertEquals((await store.inventory(ledger, 1e6)).map(({ cid }) => cid), inUse);
    await this.#compareListing(store, ledger, random);
    await this.#compareLog(store, ledger, random);
  }

  async #compareListing(store: MetaStore, ledger: string, random: Random): Promise<void> {
    const cars = this.blobs.filter(({ blob }) => blob.store === "car").map(({ blob }) => blob.cid);
    const limit = 1 + random.below(2 + (cars.length >> 1));
    const found: string[] = [];
    for (let before: string | undefined;; before = found.at(-1)) {
      const page = await store.listBlobs(ledger, "car", limit, before);
      if (!page?.length) break;
      found.push(...page.map(({ cid }) => cid));
    }
    assertEquals(found, cars.reverse());
  }

  async #compareLog(store: MetaStore, ledger: string, random: Random): Promise<void> {
    let after = this.floor + random.below(this.head - this.floor + 1);
    const later = this.entries.filter(({ seq, deleted }) => seq > after && !deleted);
    assertEquals(later.map(({ seq }) => seq), later.map((_, at) => after + 1 + at), "no gaps");
    // Keys that came alone stand behind the head, and go out with the page that reaches it.
    const keys = this.keys.filter(({ seq }) => seq > after);
    const found = { metas: [] as Meta[], keys: [] as string[] };
    for (let more = true; more;) {
      const page = await store.log(ledger, after, 1 + random.below(4));
      assert(page.seq > after || !page.more, "a page goes on");
      assertEquals(page.floor, this.floor);
      found.metas.push(...page.metas);
      found.keys.push(...page.keys);
      ({ seq: after, more } = page);
    }
    assertEquals(after, this.head);
    assertEquals(found.metas, later.map(({ meta }) => meta));
    assertEquals(found.keys, keys.map(({ key }) => key));
  }

  #find(cid: string): Entry | undefined {
    return this.entries.find(({ meta }) => meta.cid === cid);
  }

  #findBlob(ref: BlobRef) {
    return this.blobs.find(({ blob }) => blob.cid === ref.cid && blob.store === ref.store);
  }
}

function unique(refs: readonly BlobRef[]): readonly BlobRef[] {
  return refs.filter((ref, at) => refs.findIndex(({ cid }) => cid === ref.cid) === at);
}
