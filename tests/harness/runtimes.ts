/** The JavaScript runtimes of this machine: the one under test, and the others if they are here. */

import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** Name of a runtime that Hearth supports. */
export type RuntimeName = "deno" | "bun" | "node";

/** A runtime that can run a script. */
export interface Runtime {
  readonly name: RuntimeName;
  /** Path of its program. */
  readonly command: string;
  /** Its arguments in front of the script's path. @param permissions what Deno is to allow */
  runs(permissions?: readonly string[]): readonly string[];
}

/** All that Hearth supports. */
export const runtimeNames: readonly RuntimeName[] = ["deno", "bun", "node"];

/** The runtime that runs this test. */
export const thisRuntime: Runtime = runtime(thisName(), process.execPath);

/** A runtime by name, if the machine has it and it can run this project. */
export function findRuntime(name: RuntimeName): Runtime | undefined {
  if (name === thisRuntime.name) return thisRuntime;
  if (!found.has(name)) found.set(name, search(name));
  return found.get(name);
}

const found = new Map<RuntimeName, Runtime | undefined>();

function search(name: RuntimeName): Runtime | undefined {
  const command = (process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, name))
    .find(isProgram);
  if (command === undefined) return undefined;
  const candidate = runtime(name, command);
  // Too old for TypeScript, or without the packages: an older Node, or a checkout without `npm install`.
  const { status } = spawnSync(command, [...candidate.runs(), probe], { timeout: 60_000 });
  return status === 0 ? candidate : undefined;
}

/** Any file of TypeScript that needs a package. */
const probe = fileURLToPath(new URL("../../src/protocol/parse.ts", import.meta.url));

function runtime(name: RuntimeName, command: string): Runtime {
  return {
    name,
    command,
    runs: (permissions = ["-A"]) => name === "deno" ? ["run", "--quiet", ...permissions] : [],
  };
}

function thisName(): RuntimeName {
  if (process.versions.deno !== undefined) return "deno";
  return process.versions.bun !== undefined ? "bun" : "node";
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false; // Not there, or not ours to run: either way it is no runtime.
  }
}
