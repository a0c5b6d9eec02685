/** The signing key as a file: made by whoever comes first, never replaced, for the owner's eyes only. */

import { randomUUID } from "node:crypto";
import { link, mkdir, open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { generateJwk, importKey, type SigningKey } from "../sts/keys.ts";

/** Loads the key of a data folder; makes folder and key when they are not there. */
export async function loadKey(data: string): Promise<SigningKey> {
  const path = join(data, "signing-key.json");
  return await readKey(await readText(path) ?? await makeKey(data, path), `"${path}"`);
}

/** Reads a key that was written down in `place`. */
export async function readKey(text: string, place: string): Promise<SigningKey> {
  try {
    return await importKey(JSON.parse(text));
  } catch (cause) {
    throw new Error(`Cannot use the signing key in ${place}: it is damaged`, { cause });
  }
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}

async function makeKey(data: string, path: string): Promise<string> {
  await mkdir(data, { recursive: true, mode: 0o700 });
  const temporary = `${path}.${randomUUID()}.tmp`;
  const text = `${JSON.stringify(await generateJwk())}\n`;
  const file = await open(temporary, "wx", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
    // A link fails where a rename would replace: two first starts at once end up with one key.
    await link(temporary, path);
    return text;
  } catch (error) {
    if (isErrno(error, "EEXIST")) return await readFile(path, "utf8");
    throw error;
  } finally {
    await file.close();
    await rm(temporary, { force: true });
  }
}

function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
