/** `token`: makes a token for one or more ledgers. */

import { splitLedger } from "../protocol/model.ts";
import { isLedger, isRight } from "../sts/claims.ts";
import { issueFireproofToken, issueToken } from "../sts/issue.ts";
import type { SigningKey } from "../sts/keys.ts";
import { type Command, parseArguments, UsageError } from "./command.ts";
import { loadSigningKey } from "./signing_key.ts";

const unitMs: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Prints the token alone on stdout, so that scripts can take it. */
export const token: Command = async (terminal, args) => {
  const { words, flags, config } = parseArguments(terminal, args, {
    right: "value",
    for: "value",
    expires: "value",
    fireproof: "switch",
    json: "switch",
  });
  const right = flags.get("right") ?? "write";
  const lifeMs = parseDuration(flags.get("expires") ?? "1h");
  const subject = flags.get("for") ?? "";
  const mistakes = [
    ...words.length === 0 ? ["token needs a ledger: tenant/ledger"] : [],
    ...words.filter((it) => !isLedger(it)).map((it) => `"${it}" is no tenant/ledger`),
    ...isRight(right) ? [] : ["--right is one of read, write, admin"],
    ...subject !== "" && subject.length <= 256 ? [] : ["--for names whom the token is for"],
    ...flags.has("fireproof") ? fireproofMistakes(words, right) : [],
    ...lifeMs === undefined ? ["--expires is a time like 30s, 15m, 1h or 90d"] : [],
  ];
  if (mistakes.length > 0 || !isRight(right) || lifeMs === undefined) {
    throw new UsageError(mistakes.join("\n"));
  }
  const issuedAt = Date.now();
  const expiresAt = issuedAt + lifeMs;
  const ledgers = words.map((id) => ({ id, right }));
  const key = await loadSigningKey(config);
  const order = { subject, ledgers, issuedAt, expiresAt };
  const made = flags.has("fireproof")
    ? await issueForStockClient(key, order)
    : await issueToken(key, order);
  terminal.out(
    flags.has("json") ? JSON.stringify({ token: made, subject, ledgers, expiresAt }) : made,
  );
  return 0;
};

/** What Fireproof's claims cannot say. */
function fireproofMistakes(words: readonly string[], right: string): readonly string[] {
  const tenants = new Set(words.map((it) => splitLedger(it)[0]));
  return [
    ...tenants.size <= 1
      ? []
      : ["--fireproof takes ledgers of one tenant: its claims list them apart"],
    ...right === "admin" ? ["--fireproof knows the rights read and write only"] : [],
  ];
}

function issueForStockClient(key: SigningKey, order: Order): Promise<string> {
  const { subject, ledgers: [first, ...others], issuedAt, expiresAt } = order;
  if (!first || first.right === "admin") throw new TypeError("The order was not checked");
  const [tenant, name] = splitLedger(first.id);
  return issueFireproofToken(key, {
    subject,
    issuedAt,
    expiresAt,
    right: first.right,
    tenant,
    ledgers: [name, ...others.map(({ id }) => splitLedger(id)[1])],
  });
}

type Order = Parameters<typeof issueToken>[1];

function parseDuration(text: string): number | undefined {
  const match = /^([1-9]\d{0,5})([smhd])$/.exec(text);
  const unit = unitMs[match?.[2] ?? ""];
  return unit === undefined ? undefined : Number(match?.[1]) * unit;
}
