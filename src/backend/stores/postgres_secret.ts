/** Secrets that all servers on one database share, the signing key among them. */

import { readyDatabase } from "./postgres_database.ts";
import { openSession, type SessionOptions, statement } from "./postgres_session.ts";
import { textOf } from "./rows.ts";

/**
 * Reads a secret; makes it when there is none. Of several that are made at once one stays, and all
 * get that one. Whoever can read the database can read it.
 *
 * @throws {HearthError} `UNAVAILABLE` when the database is of a newer release or not durable
 * @throws what connecting fails with
 */
export async function shareSecret(
  options: SessionOptions,
  name: string,
  make: () => Promise<string>,
): Promise<string> {
  await readyDatabase(options, 0);
  await using session = await openSession(options);
  const find = statement("select value from secret where name = $1::text", name);
  const { kept: [kept] } = await session.send({ kept: find });
  if (kept) return textOf(kept, "value");
  const insert =
    "insert into secret (name, value) values ($1::text, $2::text) on conflict do nothing";
  const { found: [found] } = await session.send({
    made: statement(insert, name, await make()),
    found: find,
  });
  return textOf(found ?? {}, "value");
}
