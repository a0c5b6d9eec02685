/** Measures Hearth against bare references in one run, and prints the figures. */

import process from "node:process";
import { parseArgs } from "node:util";
import { describeMachine, formatMachine } from "./harness/machine.ts";
import type { Row } from "./harness/row.ts";
import { formatTable } from "./harness/table.ts";
import { measureBus } from "./rows/bus.ts";
import { measureCommits } from "./rows/commits.ts";
import { measureFanOut } from "./rows/fan_out.ts";
import { measureFreshReader } from "./rows/fresh_reader.ts";
import { measureGrowth } from "./rows/growth.ts";
import { measureHeld } from "./rows/held.ts";
import { measureHerd } from "./rows/herd.ts";
import { measureHttp } from "./rows/http.ts";
import { measureIdle } from "./rows/idle.ts";
import { measureLive } from "./rows/live.ts";
import { measurePeers } from "./rows/peers.ts";
import { measurePostgres } from "./rows/postgres.ts";
import { measureStages } from "./rows/stages.ts";
import { measureStock } from "./rows/stock.ts";

/** What can be measured, by the name that `--only` takes. */
const measures: Readonly<Record<string, () => Promise<Row[]>>> = {
  "commits": measureCommits,
  "fan-out": measureFanOut,
  "live": measureLive,
  "fresh-reader": measureFreshReader,
  "idle": measureIdle,
  "http": measureHttp,
  "postgres": measurePostgres,
  "stages": measureStages,
  "herd": measureHerd,
  "growth": measureGrowth,
  "held": measureHeld,
  "bus": measureBus,
  "peers": measurePeers,
  "stock": measureStock,
};

/** What is measured only when it is named, since it needs what not every machine has. */
const onRequest: ReadonlySet<string> = new Set(["held", "bus", "peers", "stock"]);

/** Bound of one measure; beyond it something hangs, and the run ends with its children. */
const maxMs = 90_000;

const { values: { json, only } } = parseArgs({
  options: { json: { type: "boolean", default: false }, only: { type: "string" } },
});
if (only !== undefined && !Object.hasOwn(measures, only)) {
  fail(2, `Cannot measure "${only}": there is ${Object.keys(measures).join(", ")}`);
}
// Ends by `exit`, whose listeners end the children and remove the folders.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(130));

const rows: Row[] = [];
for (const [name, measure] of Object.entries(measures)) {
  if (only === undefined ? onRequest.has(name) : only !== name) continue;
  process.stderr.write(`measuring ${name}\n`);
  const watchdog = setTimeout(() => fail(1, `${name} took more than ${maxMs} ms`), maxMs);
  rows.push(...await measure());
  clearTimeout(watchdog);
}
const machine = describeMachine();
const report = json
  ? JSON.stringify({ machine, rows })
  : `${formatMachine(machine)}\n\n${formatTable(rows)}`;
process.stdout.write(`${report}\n`, () => process.exit(0));

function fail(code: number, found: string): never {
  process.stderr.write(`${found}\n`);
  process.exit(code);
}
