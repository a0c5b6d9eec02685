/** How much memory a process holds. */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import process from "node:process";

/** Resident bytes of a process. */
export function residentBytes(pid: number): number {
  const kibibytes = process.platform === "linux" ? fromProc(pid) : fromPs(pid);
  if (!(kibibytes > 0)) throw new Error(`Cannot read the memory of process ${pid}`);
  return kibibytes * 1024;
}

/** Small systems have no `ps`. */
function fromProc(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}

function fromPs(pid: number): number {
  return Number(execFileSync("ps", ["-o", "rss=", "-p", String(pid)], { encoding: "utf8" }));
}
