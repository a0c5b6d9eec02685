/** How many files, and so sockets, a process may have open. */

import { execFileSync } from "node:child_process";

/**
 * Makes sure that the processes which this one starts may have so many open.
 *
 * @throws {Error} what there is to do when they may not
 */
export function requireOpenFiles(count: number): void {
  const most = execFileSync("sh", ["-c", "ulimit -n"], { encoding: "utf8" }).trim();
  if (most === "unlimited" || Number(most) >= count) return;
  throw new Error(
    `Cannot hold so many connections: one process needs ${count} open files, and may have ${most}; ` +
      `run \`ulimit -n ${count}\` first`,
  );
}
