/**
 * Decides what is left of a token: not revoked, and no more than the database lets its subject do.
 * It follows the registry, so that a change made on any instance is in force on all within a second.
 */

import { type Clock, pause } from "../base/clock.ts";
import { HearthError } from "../protocol/errors.ts";
import { splitLedger } from "../protocol/model.ts";
import type { Grants } from "./claims.ts";
import { Members } from "./members.ts";
import type { Registry, RegistryRecord } from "./registry.ts";
import { Revocations } from "./revocations.ts";
import type { Identity } from "./verify.ts";

/** What is left of an identity. */
export interface Standing {
  /** In force now. */
  readonly grants: Grants;
  /** The state of the authority that it was judged by. */
  readonly asOf: number;
}

/** Options of {@linkcode Authority}. */
export interface AuthorityOptions {
  readonly registry: Pick<Registry, "shared" | "get" | "changes">;
  readonly clock: Clock;
  /** The registry could not be asked, and what other instances change is not heard of. */
  readonly onError?: ((error: unknown) => void) | undefined;
  /** How often the registry is asked what other instances have changed. @default 400 */
  readonly pollMs?: number | undefined;
}

/** Whom a change may concern. */
export type Concerns = (identity: Identity) => boolean;

/** Most records taken at once. */
const pageSize = 1_000;
/** How often what has ended is forgotten. */
const forgetMs = 60_000;

/** The judge of tokens. It must be started before it judges, and stopped at the end. */
export class Authority implements AsyncDisposable {
  readonly #options: AuthorityOptions;
  readonly #members: Members;
  readonly #revocations = new Revocations();
  readonly #listeners = new Set<(concerns: Concerns) => void>();
  readonly #ended = new AbortController();
  #position = 0;
  #asOf = 0;
  #forgotAt = 0;
  #following: Promise<void> = Promise.resolve();
  #reading: Promise<void> | undefined;

  constructor(options: AuthorityOptions) {
    this.#options = options;
    this.#members = new Members(options.registry);
  }

  /** Rises with each change: what was judged by an earlier state is to be judged again. */
  get asOf(): number {
    return this.#asOf;
  }

  /**
   * Takes what the registry holds, and follows it from then on.
   *
   * @throws {HearthError} `UNAVAILABLE` when it cannot be read
   */
  async start(): Promise<void> {
    await this.refresh();
    this.#following = this.#follow();
  }

  /** What is left of an identity. @throws {HearthError} `UNAUTHENTICATED`, `UNAVAILABLE` */
  async judge(identity: Identity): Promise<Standing> {
    for (;;) {
      const asOf = this.#asOf;
      if (this.#revocations.concern(identity)) {
        throw new HearthError("UNAUTHENTICATED", "Cannot accept the token: it was revoked");
      }
      const left = this.#revocations.narrow(identity.grants, identity.issuedAt);
      const grants = await this.#members.narrow(left, identity.subject);
      if (asOf === this.#asOf) return { grants, asOf };
    }
  }

  /** Tells of changes, of each as soon as it is in force; returns what ends that. */
  onChange(listener: (concerns: Concerns) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Puts in force what this instance has just written. One reads at a time: who asks while another
   * does needs what is read behind it.
   *
   * @throws {HearthError} `UNAVAILABLE` when the registry cannot be read; it is asked again soon
   */
  async refresh(): Promise<void> {
    await this.#reading?.catch(() => {}); // Whoever began that one hears of its failure.
    this.#reading ??= this.#read().finally(() => this.#reading = undefined);
    await this.#reading;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    await this.#following;
  }

  async #follow(): Promise<void> {
    const { clock, registry, onError, pollMs = 400 } = this.#options;
    // An instance alone hears of its own changes by `refresh`, and need only forget.
    const everyMs = registry.shared ? pollMs : forgetMs;
    while (!this.#ended.signal.aborted) {
      await pause(clock, everyMs, this.#ended.signal);
      if (this.#ended.signal.aborted) return;
      try {
        await this.refresh();
      } catch (error) {
        onError?.(error);
      }
    }
  }

  async #read(): Promise<void> {
    const { registry, clock } = this.#options;
    let more = true;
    while (more) {
      const changes = await registry.changes(this.#position, pageSize);
      more = changes.more;
      if (changes.number < this.#position) {
        this.#startAnew();
        more = true;
        continue;
      }
      this.#position = changes.number;
      if (changes.records.length > 0) this.#take(changes.records);
    }
    const now = clock.now();
    if (now - this.#forgotAt < forgetMs) return;
    this.#forgotAt = now;
    this.#revocations.forget(now);
  }

  /** What was written has been undone, by a backup that was restored: what is known may be wrong. */
  #startAnew(): void {
    this.#position = 0;
    this.#members.clear();
    this.#revocations.clear();
    this.#changed(() => true);
  }

  #take(records: readonly RegistryRecord[]): void {
    const changed: RegistryRecord[] = [];
    for (const record of records) {
      if (record.kind === "revoked") this.#revocations.take(record);
      else if (record.kind === "member" || record.kind === "tenant") this.#members.changed(record);
      else continue;
      changed.push(record);
    }
    if (changed.length > 0) this.#changed(toConcerns(changed));
  }

  #changed(concerns: Concerns): void {
    this.#asOf++;
    for (const listener of this.#listeners) listener(concerns);
  }
}

/** Rather too many than too few: whoever is concerned is judged again. */
function toConcerns(records: readonly RegistryRecord[]): Concerns {
  const tenants = new Set<string>();
  const subjects = new Set<string>();
  let all = false;
  for (const { kind, tenant, name } of records) {
    if (kind === "member") subjects.add(name);
    else if (tenant !== "") tenants.add(tenant);
    else all = true;
  }
  return ({ subject, grants }) => {
    if (all || subjects.has(subject)) return true;
    if (tenants.size === 0) return false;
    for (const ledger of grants.keys()) {
      if (tenants.has(splitLedger(ledger)[0])) return true;
    }
    return false;
  };
}
