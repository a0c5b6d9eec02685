/** The commits of one server: in one round trip where its memory serves, else by asking. */

import type { Commit, Outcome } from "./meta_store.ts";
import { changesOf } from "./postgres_batch.ts";
import { commitAsking } from "./postgres_commit.ts";
import type { Lane } from "./postgres_lane.ts";
import { LedgerMemory } from "./postgres_memory.ts";
import { repeatLost, type RepeatOptions } from "./postgres_retry.ts";
import type { Session } from "./postgres_session.ts";
import { isStale, writeOf } from "./postgres_write.ts";

/** Options of {@linkcode Writer}. */
export interface WriterOptions {
  readonly lane: Lane;
  readonly repeat: RepeatOptions;
}

/** What was meant to be written, once it may have been. */
interface Attempt {
  outcomes: readonly Outcome[] | undefined;
}

/** Commits batches, each whole or not at all. */
export class Writer {
  readonly #lane: Lane;
  readonly #repeat: RepeatOptions;
  readonly #memory = new LedgerMemory();

  constructor({ lane, repeat }: WriterOptions) {
    this.#lane = lane;
    this.#repeat = repeat;
  }

  /** As `MetaStore.commit`. The next batch may be handed over before the answer to this one. */
  commit(commits: readonly Commit[]): Promise<readonly Outcome[]> {
    const attempt: Attempt = { outcomes: undefined };
    return this.#lane.enter((place) =>
      repeatLost("commit", async (repeats) => {
        const done = repeats > 0
          ? undefined
          : await place.share((session, pass) =>
            this.#commitRemembered(session, commits, { attempt, pass })
          );
        return done ??
          await place.alone((session) => this.#commitAsking(session, commits, attempt));
      }, this.#repeat)
    );
  }

  /** Gives nothing when the database must be asked; then nothing was written. */
  async #commitRemembered(
    session: Session,
    commits: readonly Commit[],
    { attempt, pass }: { readonly attempt: Attempt; readonly pass: () => void },
  ): Promise<readonly Outcome[] | undefined> {
    const planned = this.#memory.plan(commits);
    if (!planned) return undefined;
    const { outcomes, drafts } = planned;
    const stamp = createStamp();
    const write = writeOf(changesOf(drafts), stamp);
    // Before the answer: the next batch is planned on it, and is stale with it should it fail.
    this.#memory.remember(drafts, stamp);
    attempt.outcomes = outcomes;
    try {
      const answer = session.send({ write });
      pass();
      await answer;
      this.#memory.trust(drafts);
      return outcomes;
    } catch (error) {
      if (!isStale(error)) {
        this.#memory.forget(drafts);
        throw error;
      }
      attempt.outcomes = undefined;
      this.#memory.doubt(drafts);
      return undefined;
    }
  }

  async #commitAsking(
    session: Session,
    commits: readonly Commit[],
    attempt: Attempt,
  ): Promise<readonly Outcome[]> {
    const stamp = createStamp();
    const { outcomes, drafts } = await commitAsking(session, commits, {
      stamp,
      earlier: attempt.outcomes,
      onSend: (outcomes) => (attempt.outcomes = outcomes),
    });
    this.#memory.remember(drafts, stamp);
    return outcomes;
  }
}

/** Draws a stamp: so many that none comes twice in the life of a ledger. */
export function createStamp(): number {
  return 1 + Math.floor(Math.random() * Number.MAX_SAFE_INTEGER);
}
