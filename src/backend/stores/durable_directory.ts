/** Directories whose entries outlive a power loss: a file is only found again when they do. */

import { mkdir, open } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import process from "node:process";

/** Makes a directory and what is missing above it, durably. */
export async function makeDirectory(path: string): Promise<void> {
  const last = resolve(path);
  const first = resolve(await mkdir(last, { recursive: true }) ?? last);
  for (let made = last; made.length >= first.length; made = dirname(made)) {
    await syncDirectory(dirname(made));
    if (made === dirname(made)) return;
  }
}

/** Waits until the entries of a directory are on the disk. */
export async function syncDirectory(path: string): Promise<void> {
  // Windows opens no directories; its file systems journal their entries.
  if (process.platform === "win32") return;
  await using directory = await open(path, "r");
  await directory.sync();
}

/** Most directories remembered; beyond it all are forgotten, and each is synced once more. */
const maxRemembered = 10_000;

/**
 * Makes directories below a root, each level durable before the call resolves: also one that was
 * found there, since whoever made it may have died before it was.
 */
export class DirectoryTree {
  readonly #root: string;
  readonly #durable = new Set<string>();

  constructor(root: string) {
    this.#root = root;
  }

  /** @returns the directory's path */
  async make(names: readonly string[]): Promise<string> {
    let path = this.#root;
    for (const name of names) {
      const parent = path;
      path = join(parent, name);
      if (this.#durable.has(path)) continue;
      await mkdir(path, { recursive: true });
      await syncDirectory(parent);
      if (this.#durable.size >= maxRemembered) this.#durable.clear();
      this.#durable.add(path);
    }
    return path;
  }
}
