/** Counts what a server was asked, by its log. */

import type { LogLine } from "./server_process.ts";

/** How often each method was called; reads of signed URLs count as `GET blob`. */
export function countRequests(log: readonly LogLine[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { method } of log) {
    if (typeof method === "string") counts[method] = (counts[method] ?? 0) + 1;
  }
  return counts;
}
