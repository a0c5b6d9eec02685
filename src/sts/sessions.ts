/**
 * Refresh tokens (RFC 6749 §6, RFC 9700 §4.14): a session has one at a time. Each use brings another
 * one, and one that is used a second time tells that somebody else has it: the session ends.
 */

import * as v from "valibot";
import { rightSchema } from "./claims.ts";
import type { TokenRequest } from "./issue.ts";
import { digestOf, matches, randomName, readOpaque, writeOpaque } from "./opaque.ts";
import type { RecordKey, RecordWrite, Registry, RegistryRecord } from "./registry.ts";

/** How long a session lasts without use. */
export const sessionIdleMs = 30 * 86_400_000;
/** How long it lasts at most. */
export const sessionMs = 180 * 86_400_000;
/** A client that did not get the answer asks again within this time, with the token of before. */
const graceMs = 30_000;

const valueSchema = v.strictObject({
  subject: v.string(),
  ledgers: v.array(v.strictObject({ id: v.string(), right: rightSchema })),
  startedAt: v.number(),
  /** Digest of the token that is good. */
  current: v.string(),
  /** Digest of the one before it. */
  previous: v.optional(v.string()),
  /** When the present one took its place. */
  rotatedAt: v.number(),
});

type Value = v.InferOutput<typeof valueSchema>;

/** A session that somebody has shown to be theirs. */
export interface Session extends Pick<TokenRequest, "subject" | "ledgers"> {
  readonly id: string;
  readonly startedAt: number;
}

/** A session, its refresh token, and what has to be written for it to be good. */
export interface Granted {
  readonly session: Session;
  readonly refreshToken: string;
  readonly write: RecordWrite;
}

/** Where a session is kept. */
export function sessionKey(id: string): RecordKey {
  return { kind: "refresh", tenant: "", name: id };
}

/** Begins a session. */
export function beginSession(
  { subject, ledgers }: Pick<TokenRequest, "subject" | "ledgers">,
  now: number,
): Granted {
  const session = { id: randomName(), subject, ledgers: [...ledgers], startedAt: now };
  return rotate(session, { now, version: 0 });
}

/** What a refresh token turned out to be. */
export type Found =
  | { readonly kind: "good"; readonly granted: Granted }
  /** It was used before: whoever holds the session's tokens may have stolen them. */
  | { readonly kind: "reused"; readonly session: Session }
  | { readonly kind: "none" };

/** Reads a refresh token, and prepares the next one of its session. */
export async function findSession(
  registry: Pick<Registry, "get">,
  token: string,
  now: number,
): Promise<Found> {
  const opaque = readOpaque("refresh", token);
  if (!opaque) return { kind: "none" };
  const [record] = await registry.get([sessionKey(opaque.place)]);
  if (!record || (record.endsAt ?? Infinity) <= now) return { kind: "none" };
  const value = valueOf(record);
  const { subject, ledgers, startedAt } = value;
  const session = { id: opaque.place, subject, ledgers, startedAt };
  const { version } = record;
  if (matches(opaque.secret, value.current)) {
    return { kind: "good", granted: rotate(session, { now, version, previous: value.current }) };
  }
  const isLate = now - value.rotatedAt < graceMs;
  if (value.previous !== undefined && matches(opaque.secret, value.previous) && isLate) {
    // The answer was lost, and with it the token that is good now: nobody can have used it.
    return { kind: "good", granted: rotate(session, { now, version, previous: value.previous }) };
  }
  return { kind: "reused", session };
}

function rotate(
  session: Session,
  { now, version, previous }: {
    readonly now: number;
    readonly version: number;
    readonly previous?: string;
  },
): Granted {
  const { id, subject, ledgers, startedAt } = session;
  const endsAt = Math.min(now + sessionIdleMs, startedAt + sessionMs);
  const secret = randomName();
  const value: Value = {
    subject,
    ledgers: [...ledgers],
    startedAt,
    current: digestOf(secret),
    ...(previous !== undefined && { previous }),
    rotatedAt: now,
  };
  return {
    session,
    refreshToken: writeOpaque("refresh", { place: id, secret }),
    write: { ...sessionKey(id), version, value: JSON.stringify(value), endsAt },
  };
}

function valueOf({ value }: RegistryRecord): Value {
  return v.parse(valueSchema, JSON.parse(value ?? "null"));
}
