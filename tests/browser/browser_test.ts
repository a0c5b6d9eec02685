/** A page in a real browser and a process share a ledger. */

import { test } from "node:test";
import { assertEquals } from "#assert";
import { docsOf, have, hear, join, patient, reach } from "../fireproof/scene.ts";
import { startDevice } from "../harness/device.ts";
import { startFaultProxy } from "../harness/fault_proxy.ts";
import { bytesOf, digestOf } from "../harness/made_bytes.ts";
import { thisRuntime } from "../harness/runtimes.ts";
import { startServer } from "../harness/server_process.ts";
import { requirement } from "../require.ts";
import { lackOfBrowser, startBrowserDevice } from "./browser_device.ts";

const options = {
  ...patient,
  // The browser is the runtime under test: once is enough.
  skip: thisRuntime.name === "node" ? requirement("browser", lackOfBrowser) : "runs on Node only",
};

test("a page and a process hear each other live, with a file", options, async () => {
  await using server = await startServer();
  await using page = await startBrowserDevice();
  await using process = await startDevice();
  await join(server, [page, process]);
  await page.put({ docs: docsOf("from the page") });
  await hear([process], ["from the page"]);
  await process.put({ docs: docsOf("from the process") });
  await hear([page], ["from the process"]);
  await process.putFiles({ id: "file down", files: [{ name: "down.bin", bytes: 400_000 }] });
  await page.putFiles({ id: "file up", files: [{ name: "up.bin", bytes: 400_000 }] });
  await hear([page], ["file down"]);
  await hear([process], ["file up"]);
  assertEquals(await page.files({ id: "file down" }), { "down.bin": await found("down.bin") });
  assertEquals(await process.files({ id: "file up" }), { "up.bin": await found("up.bin") });
  await page.flush();
});

test("a page that was offline catches up both ways", options, async () => {
  await using server = await startServer();
  await using proxy = await startFaultProxy({ target: server.port });
  await using page = await startBrowserDevice();
  await using process = await startDevice();
  await join(server, [page], { url: proxy.url });
  await join(server, [process]);
  await page.put({ docs: docsOf("before") });
  await hear([process], ["before"]);
  await page.setOffline(true);
  await proxy.set("refuse");
  await reach([page], "offline");
  await page.put({ docs: docsOf("from the page") });
  await process.put({ docs: docsOf("from the process") });
  await proxy.set("pass");
  await page.setOffline(false);
  await hear([process], ["from the page"]);
  await hear([page], ["from the process"]);
  await reach([page], "synced");
});

test("a page loaded anew has lost nothing, pending writes included", options, async () => {
  await using server = await startServer();
  await using proxy = await startFaultProxy({ target: server.port });
  await using page = await startBrowserDevice();
  await using process = await startDevice();
  const token = await server.token("acme/todos");
  await join(server, [page], { url: proxy.url, token });
  await join(server, [process], { token });
  await page.put({ docs: docsOf("acknowledged") });
  await hear([process], ["acknowledged"]);
  await proxy.set("refuse");
  await page.put({ docs: docsOf("pending") });
  await page.reload();
  await have([page], ["acknowledged", "pending"]);
  await proxy.set("pass");
  await join(server, [page], { url: proxy.url, token });
  await hear([process], ["pending"]);
  await process.put({ docs: docsOf("after") });
  await hear([page], ["after"]);
});

async function found(name: string) {
  const digest = await digestOf(bytesOf(name, 400_000));
  return { size: 400_000, type: "application/x-made", digest };
}
