/** Invites: whoever holds the code becomes a member of a managed tenant, so many times and so long. */

import * as v from "valibot";
import { includesRight } from "./claims.ts";
import { type Member, memberSchema, roles } from "./members.ts";
import { digestOf, matches, randomName, readOpaque, writeOpaque } from "./opaque.ts";
import type { RecordKey, RecordWrite, Registry, RegistryRecord } from "./registry.ts";

/** Longest life of an invite. */
export const maxInviteMs = 90 * 86_400_000;
/** Most people that one invite lets in. */
export const maxInviteUses = 1_000;

/** What an invite gives. */
export interface Invite {
  readonly id: string;
  readonly tenant: string;
  readonly member: Member;
  readonly uses: number;
  readonly madeBy: string;
  /** Epoch ms. */
  readonly endsAt: number;
}

const valueSchema = v.strictObject({
  member: memberSchema,
  /** How many more may come. */
  uses: v.pipe(v.number(), v.integer(), v.minValue(1)),
  madeBy: v.string(),
  digest: v.string(),
});

type Value = v.InferOutput<typeof valueSchema>;

/** Where an invite is kept. */
export function inviteKey(tenant: string, id: string): RecordKey {
  return { kind: "invite", tenant, name: id };
}

/** Makes an invite: its code, which nobody keeps, and what has to be written. */
export function makeInvite(
  invite: Omit<Invite, "id">,
): { readonly id: string; readonly code: string; readonly write: RecordWrite } {
  const { tenant, member, uses, madeBy, endsAt } = invite;
  const [id, secret] = [randomName(), randomName()];
  const value = JSON.stringify({ member, uses, madeBy, digest: digestOf(secret) });
  return {
    id,
    code: writeOpaque("invite", { place: `${tenant}.${id}`, secret }),
    write: { ...inviteKey(tenant, id), version: 0, value, endsAt },
  };
}

/** Reads a code: the invite, and what has to be written to use it once; nothing when it is no good. */
export async function findInvite(
  registry: Pick<Registry, "get">,
  code: string,
  now: number,
): Promise<{ readonly invite: Invite; readonly write: RecordWrite } | undefined> {
  const opaque = readOpaque("invite", code);
  const at = opaque?.place.lastIndexOf(".") ?? -1;
  if (!opaque || at < 1) return undefined;
  const key = inviteKey(opaque.place.slice(0, at), opaque.place.slice(at + 1));
  const [record] = await registry.get([key]);
  if (!record || (record.endsAt ?? 0) <= now) return undefined;
  const value = valueOf(record);
  if (!matches(opaque.secret, value.digest)) return undefined;
  const left = value.uses - 1;
  return {
    invite: toInvite(record, value),
    write: {
      ...key,
      version: record.version,
      value: left > 0 ? JSON.stringify({ ...value, uses: left }) : null,
      endsAt: record.endsAt,
    },
  };
}

function toInvite({ tenant, name, endsAt = 0 }: RegistryRecord, value: Value): Invite {
  const { member, uses, madeBy } = value;
  return { id: name, tenant, member, uses, madeBy, endsAt };
}

function valueOf({ value }: RegistryRecord): Value {
  return v.parse(valueSchema, JSON.parse(value ?? "null"));
}

/** What somebody is who was something already: an invite takes nothing away. */
export function joinMember(before: Member | undefined, invited: Member): Member {
  if (!before) return invited;
  const rank = (role: Member["role"]) => roles.indexOf(role);
  const role = rank(before.role) < rank(invited.role) ? before.role : invited.role;
  const ledgers = { ...before.ledgers };
  for (const [ledger, right] of Object.entries(invited.ledgers)) {
    const held = ledgers[ledger];
    if (held === undefined || !includesRight(held, right)) ledgers[ledger] = right;
  }
  return { role, ledgers };
}
