/** What every command works with, and how it reads its arguments. */

import { type Config, describeMistakes, type Mistake, readConfig, settings } from "../config.ts";

/** The process around a command, so that tests can stand in for it. */
export interface Terminal {
  /** Arguments behind the script's name. */
  readonly args: readonly string[];
  readonly env: (name: string) => string | undefined;
  readonly out: (line: string) => void;
  readonly err: (line: string) => void;
  /** How this program is started, for hints that can be copied. */
  readonly invocation: string;
  /** Given when the operator wants the program to end. */
  readonly signal: AbortSignal;
}

/** 0 done, 1 found or failed, 2 wrong use. */
export type ExitCode = 0 | 1 | 2;

/** One command. */
export type Command = (terminal: Terminal, args: readonly string[]) => Promise<ExitCode>;

/** Wrong use of the command line; its message is shown as it is. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Arguments taken apart. */
export interface Arguments {
  readonly words: readonly string[];
  readonly flags: ReadonlyMap<string, string>;
  readonly config: Config;
}

/**
 * Takes arguments apart: `--name value`, `--name=value`, words.
 *
 * @param own flags of the command beside the settings; `switch` takes no value
 * @throws {UsageError} naming every mistake
 */
export function parseArguments(
  { env }: Terminal,
  args: readonly string[],
  own: Readonly<Record<string, "value" | "switch">> = {},
): Arguments {
  const known = new Map(Object.entries(own));
  for (const { flag } of Object.values(settings)) known.set(flag, "value");
  const words: string[] = [];
  const flags = new Map<string, string>();
  const mistakes: string[] = [];
  const rest = [...args];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    const match = /^--([^=]+)(?:=(.*))?$/s.exec(arg);
    const name = match?.[1];
    if (name === undefined) {
      words.push(arg);
      continue;
    }
    const kind = known.get(name);
    const value = match?.[2] ?? (kind === "value" ? rest.shift() : "");
    if (kind === undefined) mistakes.push(`--${name} is no flag of this command`);
    else if (value === undefined) mistakes.push(`--${name} needs a value`);
    else flags.set(name, value);
  }
  const read = readConfig(env, flags);
  const wrong: readonly Mistake[] = "mistakes" in read ? read.mistakes : [];
  if (wrong.length > 0) mistakes.push(describeMistakes(wrong));
  if (mistakes.length > 0 || !("config" in read)) throw new UsageError(mistakes.join("\n"));
  return { words, flags, config: read.config };
}
