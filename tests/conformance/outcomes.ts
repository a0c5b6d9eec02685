/** What came of commits, for tests that look at it closely. */

import { assert } from "#assert";
import type { Commit, Done, MetaStore, Outcome } from "../../src/backend/stores/meta_store.ts";
import { cidOf } from "./fixtures.ts";

/** Commits alone. @returns what is told of it */
export async function commitOne(store: MetaStore, commit: Commit): Promise<Outcome> {
  const outcomes = await store.commit([commit]);
  assert(outcomes.length === 1 && outcomes[0]);
  return toldOf(outcomes[0]);
}

/** An outcome as its client is told: without what the server counts for itself. */
export function toldOf(outcome: Outcome): Outcome {
  if (outcome.kind !== "done") return outcome;
  const { items: _, ...told } = outcome;
  return told;
}

/** The outcome of a commit that was kept. */
export function done(outcome: Outcome | undefined): Done {
  assert(outcome?.kind === "done", `Expected the commit to be done, not ${outcome?.kind}`);
  return outcome;
}

/** Its seq. */
export function seqOf(outcome: Outcome | undefined): number {
  return done(outcome).seq;
}

/** CIDs of the metas of a page. */
export function names(
  page: { readonly metas: readonly { readonly cid: string }[] },
): readonly string[] {
  return page.metas.map(({ cid }) => cid);
}

/** CIDs that stand for names. */
export function named(...all: readonly string[]): readonly string[] {
  return all.map(cidOf);
}
