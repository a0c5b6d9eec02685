/**
 * A process that commits one put after the other and says so, going on where the file ends:
 * `PATH COUNT [hold | fold]`. With `hold` it then keeps the file until it is killed. With `fold` it is
 * nearly always amid folding, and each put supersedes the one before and retires the blob before that.
 */

import { writeSync } from "node:fs";
import process from "node:process";
import { openSqlite } from "../../../src/backend/stores/sqlite.ts";
import { cidOf, ledger, putOf, refOf } from "../../conformance/fixtures.ts";

const [path = "", count = "", mode] = process.argv.slice(2);
const folds = mode === "fold";
const store = await openSqlite({ path, ...(folds && { foldAtRows: 60, foldSteps: 1 }) });
const head = (await store.bounds(ledger))?.head ?? 0;
for (let at = head + 1; at <= head + Number(count); at++) {
  const chain = { supersedes: [cidOf(`put ${at - 1}`)], retires: [refOf(`put ${at - 2}`)] };
  await store.commit([putOf(`put ${at}`, folds ? chain : {})]);
  writeSync(1, `ack ${at}\n`);
  // Lets the loop turn, as a server would.
  if (at % 16 === 0) await new Promise((resolve) => setTimeout(resolve));
}
if (mode === "hold") setInterval(() => {}, 1000);
else await store[Symbol.asyncDispose]();
