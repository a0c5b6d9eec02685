/** What the figures were measured on. */

import { arch, cpus, release, totalmem, type } from "node:os";
import { versions } from "node:process";

/** A machine, as far as it matters to figures. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly os: string;
  /** Name and version of the JavaScript runtime. */
  readonly runtime: string;
}

/** Describes this machine. */
export function describeMachine(): Machine {
  const processors = cpus();
  return {
    cpu: processors[0]?.model.trim() ?? "unknown",
    cores: processors.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    os: `${type()} ${release()} ${arch()}`,
    runtime: describeRuntime(),
  };
}

/** One line of it. */
export function formatMachine({ cpu, cores, memoryGiB, os, runtime }: Machine): string {
  return `${cpu}, ${cores} cores, ${memoryGiB} GiB, ${os}, ${runtime}`;
}

function describeRuntime(): string {
  const { deno, bun, node } = versions;
  if (deno !== undefined) return `Deno ${deno}`;
  return bun !== undefined ? `Bun ${bun}` : `Node ${node}`;
}
