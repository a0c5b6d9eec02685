/** How much memory a server takes for each connection that is open. */

import { pause, systemClock } from "../../src/base/clock.ts";
import type { Crowd } from "../workers/idle_sockets.ts";
import { residentBytes } from "./resident_memory.ts";

/** What {@linkcode kibibytesEach} measures. */
export interface ConnectionMemory {
  /** The server's process, which nothing else may use. */
  readonly pid: number;
  /** Connections to open. */
  readonly count: number;
  /** Those of all connections that are opened together. */
  readonly crowd: (from: number, to: number) => Crowd;
  /** Opens them. */
  readonly open: (crowd: Crowd) => Promise<unknown>;
}

/** Opened before the first look, so that code and pools are there. */
export const warmUpCount = 200;
/** Time for what the opening has left behind to be cleared away, or not. */
const settleMs = 1500;

/** Opens connections, and some before them; gives the growth of resident memory by each. */
export async function kibibytesEach(
  { pid, count, crowd, open }: ConnectionMemory,
): Promise<number> {
  await open(crowd(0, warmUpCount));
  await pause(systemClock, settleMs);
  const before = residentBytes(pid);
  await open(crowd(warmUpCount, warmUpCount + count));
  await pause(systemClock, settleMs);
  return (residentBytes(pid) - before) / 1024 / count;
}
