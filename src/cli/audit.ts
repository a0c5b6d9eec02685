/** `audit`: shows the audit log, and proves that it is whole. */

import { fieldsText } from "../backend/log.ts";
import type { AuditEntry } from "../sts/audit.ts";
import type { Registry } from "../sts/registry.ts";
import { verifyAudit } from "../sts/verify_audit.ts";
import {
  type Command,
  type ExitCode,
  parseArguments,
  type Terminal,
  UsageError,
} from "./command.ts";
import { openRegistry } from "./stores.ts";

/** Runs `audit verify` or `audit list`. */
export const audit: Command = async (terminal, args) => {
  const [action, ...rest] = args;
  if (action === "verify") return await verify(terminal, rest);
  if (action === "list") return await list(terminal, rest);
  throw new UsageError("audit needs to know what to do: audit verify, or audit list");
};

async function verify(terminal: Terminal, args: readonly string[]): Promise<ExitCode> {
  const { config, words } = parseArguments(terminal, args);
  refuseWords("verify", words);
  await using opened = new AsyncDisposableStack();
  const { end, broken } = await verifyAudit(await openRegistry(config, opened));
  if (!broken) {
    terminal.out(`the audit log is whole: ${end.number} lines, the last with the hash ${end.hash}`);
    return 0;
  }
  terminal.err(
    `The audit log is broken at line ${broken.number}: ${broken.reason}\n` +
      `Good are ${end.number} lines, the last with the hash ${end.hash}`,
  );
  return 1;
}

/** Lines that are in memory at once. */
const pageSize = 500;

async function list(terminal: Terminal, args: readonly string[]): Promise<ExitCode> {
  const { config, words, flags } = parseArguments(terminal, args, {
    after: "value",
    json: "switch",
  });
  refuseWords("list", words);
  const after = flags.get("after") ?? "0";
  if (!/^\d{1,15}$/.test(after)) throw new UsageError("--after is the number of a line");
  const toLine = flags.has("json") ? (entry: AuditEntry) => JSON.stringify(entry) : toText;
  await using opened = new AsyncDisposableStack();
  const registry = await openRegistry(config, opened);
  for await (const entry of readLines(registry, Number(after))) terminal.out(toLine(entry));
  return 0;
}

async function* readLines(registry: Registry, after: number): AsyncGenerator<AuditEntry> {
  for (let last = after;;) {
    const page = await registry.audit(last, pageSize);
    yield* page;
    last = page.at(-1)?.number ?? last;
    if (page.length < pageSize) return;
  }
}

/** As in the server's log. What was tampered with may hold any time, which is shown as it is then. */
function toText({ number, at, action, actor, target, detail }: AuditEntry): string {
  const date = new Date(at);
  const time = Number.isNaN(date.getTime()) ? String(at) : date.toISOString();
  return `${number} ${time}${fieldsText({ action, actor, target })}${fieldsText(detail)}`;
}

function refuseWords(action: string, words: readonly string[]): void {
  if (words.length === 0) return;
  throw new UsageError(`audit ${action} takes no words, but got "${words.join(" ")}"`);
}
