/** Folders for the stores of one run; all go when the process goes. */

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

let root: string | undefined;
let made = 0;

/** Makes an empty folder. All are on one disk: set `TMPDIR` to choose which. */
export function makeFolder(): string {
  root ??= makeRoot();
  const path = join(root, String(++made));
  mkdirSync(path);
  return path;
}

function makeRoot(): string {
  const path = mkdtempSync(join(tmpdir(), "hearth-bench-"));
  // Children were killed by an earlier listener, and may still be writing for a moment.
  process.on("exit", () => rmSync(path, { recursive: true, force: true, maxRetries: 20 }));
  return path;
}
