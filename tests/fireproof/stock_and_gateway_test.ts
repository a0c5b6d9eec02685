/** The stock client and Hearth's gateway on one ledger, and a database that moves between them. */

import { test } from "node:test";
import { diskPlace, startDevice } from "../harness/device.ts";
import { startServer } from "../harness/server_process.ts";
import { makeTempFolder } from "../harness/temp_folder.ts";
import { docsOf, have, hear, join, patient } from "./scene.ts";
import { joinStock } from "./stock_scene.ts";

test("stock client and gateway hear each other on one ledger", patient, async () => {
  await using server = await startServer();
  await using stock = await startDevice();
  await using hearth = await startDevice();
  await joinStock(server, [stock]);
  await join(server, [hearth]);
  await stock.put({ docs: docsOf("from-stock") });
  await hear([hearth], ["from-stock"]);
  await hearth.put({ docs: docsOf("from-hearth") });
  await hear([stock], ["from-hearth"]);
  await have([stock, hearth], ["from-hearth", "from-stock"]);
});

test("a database moves from the stock client to the gateway and back", patient, async () => {
  await using server = await startServer();
  await using folder = await makeTempFolder();
  await using other = await startDevice();
  await joinStock(server, [other]);
  const place = diskPlace(folder.path);
  {
    await using first = await startDevice(place);
    await joinStock(server, [first]);
    await first.put({ docs: docsOf("by-stock") });
    await have([other], ["by-stock"]);
  }
  {
    await using second = await startDevice(place);
    await join(server, [second]);
    await second.put({ docs: docsOf("by-gateway") });
    await second.flush();
    await have([second, other], ["by-gateway", "by-stock"]);
  }
  await using third = await startDevice(place);
  await joinStock(server, [third]);
  await third.put({ docs: docsOf("again-by-stock") });
  await have([third, other], ["again-by-stock", "by-gateway", "by-stock"]);
});
