/** Who somebody is by a token of Fireproof's form, as the stock client sends it. */

import type { Identity } from "./verify.ts";

/** An identity, and the ledger that its token was made for. */
export interface FireproofIdentity extends Identity {
  /** `tenant/ledger`, taken for messages that name none. */
  readonly selected: string | undefined;
}

/**
 * Checks one token of Fireproof's form.
 *
 * @throws {HearthError} `UNAUTHENTICATED`, with the same message whatever is wrong; `cause` tells
 */
export type VerifyFireproof = (token: string) => Promise<FireproofIdentity>;
