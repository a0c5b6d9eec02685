/** The JavaScript runtimes of this machine: the one under test, and the others if they are here. */

import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";

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

/** A runtime by name, if the machine has it. */
export function findRuntime(name: RuntimeName): Runtime | undefined {
  if (name === thisRuntime.name) return thisRuntime;
  const command = (process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, name))
    .find(isProgram);
  return command === undefined ? undefined : runtime(name, command);
}

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
