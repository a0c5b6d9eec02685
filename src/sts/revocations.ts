/** What was taken back: a token, a session, or all that was issued to somebody or for something. */

import * as v from "valibot";
import { splitLedger } from "../protocol/model.ts";
import type { Grants } from "./claims.ts";
import type { RecordKey, RecordWrite, RegistryRecord } from "./registry.ts";
import type { Identity } from "./verify.ts";

/** What a revocation can be of: a token's `jti`, its `sid`, its subject, a tenant or a ledger. */
export const revocationKinds = ["token", "session", "subject", "tenant", "ledger"] as const;

/** One of these. */
export type RevocationKind = (typeof revocationKinds)[number];

/** Takes back what was issued up to a moment. */
export interface Revocation {
  readonly kind: RevocationKind;
  readonly name: string;
  /** Tokens issued up to then are refused, epoch ms. */
  readonly issuedUpTo: number;
  /** When the last token that it concerns has ended, epoch ms: it is forgotten then. */
  readonly endsAt: number;
}

const valueSchema = v.strictObject({
  kind: v.picklist(revocationKinds),
  name: v.string(),
  issuedUpTo: v.number(),
});

/** Where a revocation is kept; another one of the same takes its place. */
export function revocationKey({ kind, name }: Pick<Revocation, "kind" | "name">): RecordKey {
  const tenant = kind === "tenant" ? name : kind === "ledger" ? splitLedger(name)[0] : "";
  return { kind: "revoked", tenant, name: `${kind}:${name}` };
}

/** How a revocation is written down. */
export function toRecord(revocation: Revocation): RecordWrite {
  const { kind, name, issuedUpTo, endsAt } = revocation;
  const value = JSON.stringify({ kind, name, issuedUpTo });
  return { ...revocationKey(revocation), value, endsAt };
}

/** What of it an identity must carry. */
type Revocable = Pick<Identity, "subject" | "tokenId" | "session" | "issuedAt">;

/**
 * The revocations in force. There are as many as were made within the life of a token: about 200 bytes
 * each, so that a million take 200 MB.
 */
export class Revocations {
  /** By the name of their record. */
  readonly #entries = new Map<string, { readonly issuedUpTo: number; readonly endsAt: number }>();

  /** How many there are. */
  get size(): number {
    return this.#entries.size;
  }

  /** Takes what the registry tells of one; a removed one is forgotten. */
  take(record: RegistryRecord): void {
    const { name, value, endsAt = Infinity } = record;
    if (value === null) this.#entries.delete(name);
    else {
      const { issuedUpTo } = v.parse(valueSchema, JSON.parse(value));
      this.#entries.set(name, { issuedUpTo, endsAt });
    }
  }

  /** Forgets all. */
  clear(): void {
    this.#entries.clear();
  }

  /** Forgets those whose tokens have all ended. */
  forget(now: number): void {
    for (const [name, { endsAt }] of this.#entries) {
      if (endsAt <= now) this.#entries.delete(name);
    }
  }

  /** Whether nothing is left of an identity. */
  concern({ subject, tokenId, session, issuedAt }: Revocable): boolean {
    return this.#has("token", tokenId, issuedAt) || this.#has("subject", subject, issuedAt) ||
      (session !== undefined && this.#has("session", session, issuedAt));
  }

  /** What is left of grants. */
  narrow(grants: Grants, issuedAt: number): Grants {
    if (this.#entries.size === 0) return grants;
    const left = [...grants].filter(([ledger]) =>
      !this.#has("ledger", ledger, issuedAt) &&
      !this.#has("tenant", splitLedger(ledger)[0], issuedAt)
    );
    return left.length === grants.size ? grants : new Map(left);
  }

  #has(kind: RevocationKind, name: string, issuedAt: number): boolean {
    const found = this.#entries.get(`${kind}:${name}`);
    return found !== undefined && issuedAt <= found.issuedUpTo;
  }
}
