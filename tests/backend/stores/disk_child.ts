/** A process that puts one blob after the other and says so: `DIRECTORY COUNT` of blobs to put. */

import { writeSync } from "node:fs";
import process from "node:process";
import { openDisk } from "../../../src/backend/stores/disk.ts";
import { pieces } from "../../conformance/blob_store.ts";
import { keyOf, utf8 } from "../../conformance/fixtures.ts";

const [directory = "", count = ""] = process.argv.slice(2);
const store = await openDisk({ directory });
for (let at = 1; at <= Number(count); at++) {
  const bytes = utf8(`blob ${at}`);
  await store.put(keyOf(`blob ${at}`, bytes), pieces(bytes));
  writeSync(1, `ack ${at}\n`);
}
