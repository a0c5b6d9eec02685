/** Members of managed tenants: what the database lets somebody do, whatever a token says. */

import * as v from "valibot";
import { RecentMap } from "../base/recent_map.ts";
import { ledgerNameSchema, type Right, splitLedger } from "../protocol/model.ts";
import { type Grants, includesRight, rightSchema } from "./claims.ts";
import type { RecordKey, Registry, RegistryRecord } from "./registry.ts";

/** What somebody is in a tenant. */
export const roles = ["owner", "admin", "member"] as const;

/** One of these. An owner may do all that an admin may, and name owners. */
export type Role = (typeof roles)[number];

/** Most ledgers that one member has rights on; it keeps the record below its bound. */
const maxLedgers = 128;

/** What the body of a request says of a member, and a record keeps. */
export const memberSchema = v.strictObject({
  role: v.picklist(roles),
  /** Rights of a `member`; owners and admins have all rights on all ledgers. */
  ledgers: v.optional(
    v.pipe(
      v.record(ledgerNameSchema, rightSchema),
      v.check((it) => Object.keys(it).length <= maxLedgers),
    ),
    {},
  ),
});

/** A member. */
export type Member = v.InferOutput<typeof memberSchema>;

/** Where it is written that a tenant is managed. */
export function tenantKey(tenant: string): RecordKey {
  return { kind: "tenant", tenant, name: "managed" };
}

/** Where a member is written down. */
export function memberKey(tenant: string, subject: string): RecordKey {
  return { kind: "member", tenant, name: subject };
}

/** Reads a record. */
export function toMember({ value }: RegistryRecord): Member {
  return v.parse(memberSchema, JSON.parse(value ?? "null"));
}

/** The right of a member on a ledger of its tenant, given without the tenant. */
export function rightOf({ role, ledgers }: Member, ledger: string): Right | undefined {
  if (role !== "member") return "admin";
  return Object.hasOwn(ledgers, ledger) ? ledgers[ledger] : undefined;
}

/** The smaller of two rights. */
export function smallerRight(one: Right, other: Right): Right {
  return includesRight(one, other) ? other : one;
}

/** What somebody is in a tenant; `unmanaged` is a tenant of which the database says nothing. */
export type Membership = "unmanaged" | Member | "stranger";

/** Most answers remembered; those that were not used for the longest time are asked for again. */
const maxRemembered = 50_000;

/** Who is what, remembered until it is told that it has changed. */
export class Members {
  readonly #registry: Pick<Registry, "get">;
  /** By tenant. */
  readonly #managed = new Answers<boolean>();
  /** By tenant and subject. */
  readonly #members = new Answers<Member | "stranger">();

  constructor(registry: Pick<Registry, "get">) {
    this.#registry = registry;
  }

  /** What somebody is in a tenant. @throws {HearthError} `UNAVAILABLE` */
  async membership(tenant: string, subject: string): Promise<Membership> {
    const managed = await this.#managed.get(tenant, async () => {
      return (await this.#registry.get([tenantKey(tenant)])).length > 0;
    });
    if (!managed) return "unmanaged";
    return await this.#members.get(`${tenant}/${subject}`, async () => {
      const [record] = await this.#registry.get([memberKey(tenant, subject)]);
      return record ? toMember(record) : "stranger";
    });
  }

  /** The smaller of what a token grants and what the database does. */
  async narrow(grants: Grants, subject: string): Promise<Grants> {
    const narrowed = new Map<string, Right>();
    let isSame = true;
    for (const [id, granted] of grants) {
      const [tenant, ledger] = splitLedger(id);
      const membership = await this.membership(tenant, subject);
      const held = membership === "unmanaged"
        ? granted
        : membership === "stranger"
        ? undefined
        : rightOf(membership, ledger);
      const right = held && smallerRight(granted, held);
      if (right !== granted) isSame = false;
      if (right) narrowed.set(id, right);
    }
    return isSame ? grants : narrowed;
  }

  /** All is asked for again. */
  clear(): void {
    this.#managed.clear();
    this.#members.clear();
  }

  /** A record has changed: what was remembered of it is asked for again. */
  changed({ kind, tenant, name }: RecordKey): void {
    if (kind === "tenant") this.#managed.forget(tenant);
    if (kind === "member") this.#members.forget(`${tenant}/${name}`);
  }
}

/** Answers, each asked for once; a question that fails is forgotten. */
class Answers<T> {
  readonly #answers = new RecentMap<Promise<T>>(maxRemembered);

  async get(name: string, ask: () => Promise<T>): Promise<T> {
    const answer = this.#answers.get(name) ?? ask();
    this.#answers.set(name, answer);
    try {
      return await answer;
    } catch (error) {
      if (this.#answers.get(name) === answer) this.#answers.delete(name);
      throw error;
    }
  }

  forget(name: string): void {
    this.#answers.delete(name);
  }

  clear(): void {
    this.#answers.clear();
  }
}
