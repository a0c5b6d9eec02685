/** What a token of Fireproof's form says, and which rights and times follow from it. */

import * as v from "valibot";
import type { Right } from "../protocol/model.ts";
import { type Grants, includesRight, isLedger } from "./claims.ts";

/** Keeps Hearth's own tokens for the stock client apart from those for hearth.v1. */
export const fireproofType = "fireproof+jwt";

/** Whom these tokens are for: Fireproof's own issuer, and its dashboard's. */
export const fireproofAudiences: readonly string[] = ["fireproof", "PUBLIC"];
/** Names of Fireproof's own issuer, and its dashboard's. */
export const fireproofIssuers: readonly string[] = ["fireproof", "FP_CLOUD"];

const name = v.pipe(v.string(), v.minLength(1), v.maxLength(256));
const role = v.picklist(["admin", "owner", "member"]);
/** Seconds, or milliseconds: `toEpochMs` tells which. */
const moment = v.pipe(v.number(), v.minValue(0), v.maxValue(Number.MAX_SAFE_INTEGER));

/**
 * The claims that rights follow from. The client demands more (a valid `email`, `created`), which is
 * about whom a screen shows, and looks at it itself.
 */
export const fireproofClaimsSchema = v.object({
  userId: name,
  jti: v.optional(name),
  iat: v.optional(moment),
  nbf: v.optional(moment),
  exp: moment,
  tenants: v.array(v.object({ id: name, role })),
  ledgers: v.array(v.object({ id: name, role, right: v.picklist(["read", "write"]) })),
  selected: v.optional(v.object({ tenant: name, ledger: name })),
});

/** Parsed claims. */
export type FireproofClaims = v.InferOutput<typeof fireproofClaimsSchema>;

/** What claims allow. */
export interface FireproofRights {
  readonly grants: Grants;
  readonly selected: string | undefined;
}

/**
 * Derives the grants. Tenants and ledgers are listed apart, so that a token of several tenants does
 * not say whose a ledger is: there, only the pair that it selects is sure. With one tenant all listed
 * ledgers are its own. A role gives nothing, and a name that is no ledger's neither.
 */
export function toFireproofRights(
  { tenants, ledgers, selected }: FireproofClaims,
): FireproofRights {
  const names = new Set(tenants.map(({ id }) => id));
  const [only] = names.size === 1 ? names : [];
  const grants = new Map<string, Right>();
  for (const { id, right } of ledgers) {
    const tenant = only ?? (selected?.ledger === id ? selected.tenant : undefined);
    if (tenant === undefined || !names.has(tenant)) continue;
    const ledger = `${tenant}/${id}`;
    if (!isLedger(ledger)) continue;
    const held = grants.get(ledger);
    if (held === undefined || !includesRight(held, right)) grants.set(ledger, right);
  }
  const wanted = selected && `${selected.tenant}/${selected.ledger}`;
  return { grants, selected: wanted !== undefined && grants.has(wanted) ? wanted : undefined };
}

/** When a token is in force. */
export interface FireproofTimes {
  /** Epoch ms; 0 when the token does not say. */
  readonly issuedAt: number;
  /** Epoch ms. */
  readonly startsAt: number;
  /** Epoch ms. */
  readonly expiresAt: number;
  /** Whether a time was written in milliseconds, which RFC 7519 does not allow. */
  readonly inMilliseconds: boolean;
}

/** As seconds this is the year 5138, as milliseconds 1973: no token means either. */
const leastMilliseconds = 1e11;
/**
 * Fireproof's issuer adds its `validFor` to the time in milliseconds, and its default is 3600: the
 * hour in seconds. Its clock's fraction of a second is in `exp` alone, and it takes a moment.
 */
const mistakenHour = { fromMs: 3_600, toMs: 4_700, meantMs: 3_600_000 };

/** Reads the times, each in the unit in which it was written. */
export function toFireproofTimes({ iat, nbf, exp }: FireproofClaims): FireproofTimes {
  const issuedAt = toEpochMs(iat ?? 0);
  const inMilliseconds = [iat, nbf, exp].some((it) => it !== undefined && it >= leastMilliseconds);
  const life = toEpochMs(exp) - issuedAt;
  const isMistaken = exp >= leastMilliseconds && iat !== undefined &&
    life >= mistakenHour.fromMs && life < mistakenHour.toMs;
  return {
    issuedAt,
    startsAt: Math.max(issuedAt, toEpochMs(nbf ?? 0)),
    expiresAt: isMistaken ? issuedAt + mistakenHour.meantMs : Math.floor(toEpochMs(exp)),
    inMilliseconds,
  };
}

function toEpochMs(moment: number): number {
  return moment >= leastMilliseconds ? moment : moment * 1000;
}
