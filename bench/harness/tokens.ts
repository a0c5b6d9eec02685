/** Tokens for the clients of a run. */

import { issueFireproofToken, issueToken } from "../../src/sts/issue.ts";
import type { SigningKey } from "../../src/sts/keys.ts";

/** Longer than any run. */
const lifeMs = 3_600_000;

/** Makes a token to write to a ledger, `tenant/ledger`. */
export function issueWriteToken(key: SigningKey, ledger: string): Promise<string> {
  const issuedAt = Date.now();
  return issueToken(key, {
    subject: "bench",
    ledgers: [{ id: ledger, right: "write" }],
    issuedAt,
    expiresAt: issuedAt + lifeMs,
  });
}

/** Makes a token for the stock client to write to a ledger, `tenant/ledger`. */
export function issueStockToken(key: SigningKey, ledger: string): Promise<string> {
  const issuedAt = Date.now();
  const [tenant = "", name = ""] = ledger.split("/");
  return issueFireproofToken(key, {
    subject: "bench",
    tenant,
    ledgers: [name],
    right: "write",
    issuedAt,
    expiresAt: issuedAt + lifeMs,
  });
}
