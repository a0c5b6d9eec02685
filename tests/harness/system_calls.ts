/** What a process asks of the system, in order, as strace sees it. */

import { spawnSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import process from "node:process";
import { startChild } from "./child.ts";

/** One call of one thread. */
export interface SystemCall {
  readonly name: string;
  /** Its arguments as strace writes them, paths of descriptors included. */
  readonly args: string;
  readonly result: string;
  /** Line of the trace at which it began. */
  readonly begin: number;
  /** Line at which it was over; calls of other threads may lie between. */
  readonly end: number;
}

/** Why system calls cannot be traced here; false when they can. */
export function cannotTrace(): string | false {
  if (process.platform !== "linux") return "strace exists on Linux only";
  const tried = spawnSync("strace", ["-o", "/dev/null", "true"]);
  if (tried.error) return "strace is not installed";
  return tried.status === 0 ? false : "strace is not allowed to trace here";
}

/** Runs a program to its end and gives the calls of these names. @param file where the trace goes */
export async function traceCalls(
  file: string,
  names: readonly string[],
  command: readonly string[],
): Promise<readonly SystemCall[]> {
  const options = ["-f", "-y", "-s", "128", "-e", `trace=${names.join(",")}`, "-o", file];
  const child = startChild("strace", [...options, ...command]);
  const { code } = await child.ended;
  if (code !== 0) {
    throw new Error(`The traced program ended with ${code}: ${child.lines.join("\n")}`);
  }
  return parseTrace(await readFile(file, "utf8"));
}

/**
 * A call that other threads interrupt comes in two lines, `name(args <unfinished ...>` and
 * `<... name resumed>rest) = result`, which the thread's number brings together.
 */
function parseTrace(text: string): readonly SystemCall[] {
  const calls: SystemCall[] = [];
  const unfinished = new Map<string, { readonly text: string; readonly begin: number }>();
  for (const [at, line] of text.split("\n").entries()) {
    const [, thread = "", rest = ""] = /^(\d+) +(.*)$/.exec(line) ?? [];
    const begun = /^(.*) <unfinished \.\.\.>$/.exec(rest);
    if (begun) {
      unfinished.set(thread, { text: begun[1] ?? "", begin: at });
      continue;
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest);
    const first = resumed ? unfinished.get(thread) : undefined;
    const whole = resumed ? `${first?.text ?? ""}${resumed[1]}` : rest;
    const [, name, args, result] = /^(\w+)\((.*)\) += (.*)$/.exec(whole) ?? [];
    if (name === undefined || args === undefined || result === undefined) continue;
    calls.push({ name, args, result, begin: first?.begin ?? at, end: at });
  }
  return calls;
}
