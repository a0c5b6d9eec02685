/** The key that signs tokens: one for all servers that share a database, else one for a data folder. */

import { shareSecret } from "../backend/stores/postgres_secret.ts";
import type { Config } from "../config.ts";
import { generateJwk, type SigningKey } from "../sts/keys.ts";
import { loadKey, readKey } from "./key_file.ts";

/** Loads the key; makes it when there is none. */
export async function loadSigningKey(
  { data, database }: Pick<Config, "data" | "database">,
): Promise<SigningKey> {
  if (database === undefined) return await loadKey(data);
  const make = async () => JSON.stringify(await generateJwk());
  const text = await shareSecret({ url: database }, "signing-key", make);
  return await readKey(text, "the database");
}
