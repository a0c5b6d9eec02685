/**
 * Runs the tests with the stock client against several releases of Fireproof, each installed in a
 * copy of this checkout: what the package manager resolves is what an app of that time would have.
 * Ends with a line for each release; exits 1 when a test of one failed or none ran.
 *
 * `deno task matrix`, or with releases of one's own choice: `deno task matrix 0.24.19`
 */

import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { startChild } from "../harness/child.ts";
import { makeTempFolder } from "../harness/temp_folder.ts";

/** The newest three of 0.24 that are published, and the newest of 0.23. */
const releases = ["0.23.15", "0.24.0", "0.24.10", "0.24.19"];
/** Tests that a release fails by a fault of its own, by a part of their titles; told with the outcome. */
const faults: Readonly<Record<string, { readonly title: string; readonly reason: string }>> = {
  "0.24.0": {
    title: "all three runtimes",
    reason: "on Bun its client refuses its own messages (missing parameters), and sends nothing",
  },
};
/** What the releases must pass: the stock client alone, since the gateway is made for one release. */
const suite = "tests/fireproof/stock_live_test.ts";
/** What the suite needs of the checkout; without its locks, which pin another release. */
const parts = ["mod.ts", "server.ts", "src", "tests", "deno.json", "jsr.json", "package.json"];
const root = fileURLToPath(new URL("../../", import.meta.url));

interface Outcome {
  readonly release: string;
  readonly passed: number;
  readonly failed: number;
}

const wanted = process.argv.slice(2);
const outcomes: Outcome[] = [];
for (const release of wanted.length > 0 ? wanted : releases) {
  outcomes.push(await check(release));
}
for (const { release, passed, failed } of outcomes) {
  const fault = faults[release];
  const left = fault ? `; left out "${fault.title}": ${fault.reason}` : "";
  console.log(`@fireproof/core ${release}: ${passed} passed, ${failed} failed${left}`);
}
const isGood = outcomes.every(({ passed, failed }) => passed > 0 && failed === 0);
process.exit(isGood ? 0 : 1);

async function check(release: string): Promise<Outcome> {
  await using folder = await makeTempFolder();
  for (const part of parts) {
    await cp(join(root, part), join(folder.path, part), { recursive: true });
  }
  await pin(join(folder.path, "package.json"), release);
  const cwd = folder.path;
  const installed = await run("npm", ["install", "--no-audit", "--no-fund"], cwd);
  if (installed.code !== 0) {
    console.error(`Cannot install ${release}:\n${installed.lines.slice(-5).join("\n")}`);
    return { release, passed: 0, failed: 1 };
  }
  // By node's own runner, whose summary can be counted; the suite starts the other runtimes itself.
  const fault = faults[release];
  const left = fault ? [`--test-skip-pattern=${fault.title}`] : [];
  const { lines } = await run("node", ["--test", "--test-reporter=tap", ...left, suite], cwd);
  const passed = countOf(lines, "pass");
  const failed = countOf(lines, "fail");
  if (failed > 0 || passed === 0) console.error(lines.slice(-60).join("\n"));
  return { release, passed, failed };
}

/** Puts all of Fireproof's packages at one release; the rest stays as it is. */
async function pin(path: string, release: string): Promise<void> {
  const manifest = JSON.parse(await readFile(path, "utf8"));
  for (const kind of ["dependencies", "devDependencies", "peerDependencies"]) {
    for (const name of Object.keys(manifest[kind])) {
      if (name.startsWith("@fireproof/")) manifest[kind][name] = release;
    }
  }
  await writeFile(path, JSON.stringify(manifest, null, 2));
}

async function run(command: string, args: readonly string[], cwd: string) {
  const lines: string[] = [];
  const child = startChild(command, args, { cwd, onLine: (line) => lines.push(line) });
  const { code } = await child.ended;
  return { code, lines };
}

function countOf(lines: readonly string[], what: "pass" | "fail"): number {
  const line = lines.findLast((it) => it.startsWith(`# ${what} `));
  return Number(line?.split(" ").at(-1) ?? 0);
}
