/** How much memory a process holds. */

import { execFileSync } from "node:child_process";

/** Resident bytes of a process, as the system's own `ps` tells. */
export function residentBytes(pid: number): number {
  const kibibytes = Number(
    execFileSync("ps", ["-o", "rss=", "-p", String(pid)], { encoding: "utf8" }),
  );
  if (!(kibibytes > 0)) throw new Error(`Cannot read the memory of process ${pid}`);
  return kibibytes * 1024;
}
