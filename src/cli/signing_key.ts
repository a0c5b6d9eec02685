/** The key that signs tokens: one for all servers that share a database, else one for a data folder. */

import { shareSecret } from "../backend/stores/postgres_secret.ts";
import type { Config } from "../config.ts";
import { generateJwk, importKey, type SigningKey } from "../sts/keys.ts";
import { loadKey } from "./key_file.ts";

/** Loads the key; makes it when there is none. */
export async function loadSigningKey(
  { data, database }: Pick<Config, "data" | "database">,
): Promise<SigningKey> {
  if (database === undefined) return await loadKey(data);
  const make = async () => JSON.stringify(await generateJwk());
  const text = await shareSecret({ url: database }, "signing-key", make);
  try {
    return await importKey(JSON.parse(text));
  } catch (cause) {
    throw new Error("Cannot use the signing key in the database: it is damaged", { cause });
  }
}
