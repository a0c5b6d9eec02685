/** `help` and `version`. */

import { settings } from "../config.ts";
import { version as number } from "./version.ts";
import type { Command } from "./command.ts";

/** Tells the commands and settings. */
export const help: Command = ({ out, invocation }) => {
  out(`Hearth ${number}, the home server for Fireproof ledgers

${invocation}                     starts the server
${invocation} token LEDGER…       prints a token for ledgers, each tenant/ledger
    --for NAME                  whom it is for
    --right read|write|admin    what it allows (write)
    --expires 1h                how long it lasts: 30s, 15m, 1h, 90d (1h)
    --fireproof                 for the stock client: toCloud() of @fireproof/core
    --json                      prints it with what it says
${invocation} audit verify        proves that the audit log is whole; exits 1 with the first line that is not
${invocation} audit list          prints the audit log
    --after NUMBER              from behind this line
    --json                      each line as JSON
${invocation} help | version

Settings, as a flag or in the environment:`);
  for (const { flag, env, fallback, allowed } of Object.values(settings)) {
    out(`    ${`--${flag}`.padEnd(16)}${env.padEnd(20)}${allowed}${fallback && ` (${fallback})`}`);
  }
  return Promise.resolve(0);
};

/** Tells the release. */
export const version: Command = ({ out }) => {
  out(number);
  return Promise.resolve(0);
};
