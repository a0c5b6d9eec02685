/** The command line: finds the command, runs it, and turns what it throws into an exit code. */

import { audit } from "./audit.ts";
import { type Command, type ExitCode, type Terminal, UsageError } from "./command.ts";
import { help, version } from "./help.ts";
import { serve } from "./serve.ts";
import { token } from "./token.ts";

const commands: ReadonlyMap<string, Command> = new Map(Object.entries({
  serve,
  token,
  audit,
  help,
  version,
  "--help": help,
  "--version": version,
}));

/** Runs the command that the arguments name; `serve` when they name none. */
export async function main(terminal: Terminal): Promise<ExitCode> {
  const { args, err, invocation } = terminal;
  const [first] = args;
  const named = first !== undefined && (commands.has(first) || !first.startsWith("--"));
  const command = commands.get(named ? first : "serve");
  try {
    if (!command) throw new UsageError(`unknown command "${first}"`);
    return await command(terminal, named ? args.slice(1) : args);
  } catch (error) {
    if (error instanceof UsageError) {
      err(`${error.message}\nSee: ${invocation} help`);
      return 2;
    }
    err(error instanceof Error ? describe(error) : String(error));
    return 1;
  }
}

function describe({ message, cause }: Error): string {
  return cause instanceof Error ? `${message}: ${cause.message}` : message;
}
