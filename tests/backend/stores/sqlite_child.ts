/**
 * A process that commits one put after the other and says so, going on where the file ends:
 * `PATH COUNT [hold]`. With `hold` it then keeps the file until it is killed.
 */

import { writeSync } from "node:fs";
import process from "node:process";
import { openSqlite } from "../../../src/backend/stores/sqlite.ts";
import { ledger, putOf } from "../../conformance/fixtures.ts";

const [path = "", count = "", hold] = process.argv.slice(2);
const store = await openSqlite({ path });
const head = (await store.bounds(ledger))?.head ?? 0;
for (let at = head + 1; at <= head + Number(count); at++) {
  await store.commit([putOf(`put ${at}`)]);
  writeSync(1, `ack ${at}\n`);
  // Lets the loop turn, as a server would.
  if (at % 16 === 0) await new Promise((resolve) => setTimeout(resolve));
}
if (hold) setInterval(() => {}, 1000);
else await store[Symbol.asyncDispose]();
