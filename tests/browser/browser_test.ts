/** A page in a real browser and a process share a ledger. */

import { readFileSync } from "node:fs";
import { test } from "node:test";
import { assert, assertEquals } from "#assert";
import { docsOf, have, hear, join, patient, reach } from "../fireproof/scene.ts";
import { startDevice } from "../harness/device.ts";
import { startDirectServer } from "../harness/direct_server.ts";
import { startFaultProxy } from "../harness/fault_proxy.ts";
import { bytesOf, digestOf } from "../harness/made_bytes.ts";
import { thisRuntime } from "../harness/runtimes.ts";
import { lackOfS3 } from "../harness/s3_server.ts";
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

for (const isAllowed of [true, false]) {
  const how = isAllowed ? "goes past the server" : "goes through the server";
  const rules = isAllowed ? "with the README's rules for pages" : "without rules for pages";
  test(`a file of a page ${how}, where the bucket is ${rules}`, {
    ...options,
    skip: options.skip || requirement("s3", lackOfS3),
  }, async () => {
    await using house = await startDirectServer({ cors: isAllowed ? corsOfReadme() : undefined });
    await using page = await startBrowserDevice();
    await using process = await startDevice();
    await join(house.server, [page, process]);
    await page.putFiles({ id: "file up", files: [{ name: "up.bin", bytes: 400_000 }] });
    await hear([process], ["file up"]);
    assertEquals(await process.files({ id: "file up" }), { "up.bin": await found("up.bin") });
    await process.putFiles({ id: "file down", files: [{ name: "down.bin", bytes: 400_000 }] });
    await hear([page], ["file down"]);
    assertEquals(await page.files({ id: "file down" }), { "down.bin": await found("down.bin") });
    const passed = house.server.log.flatMap(({ method }) =>
      /blob$/.test(`${method}`) ? method : []
    );
    assertEquals(passed, isAllowed ? [] : ["PUT blob", "GET blob"]);
  });
}

/** The rules that the README has for a bucket, for the page of the test. */
function corsOfReadme(): string {
  const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
  const json = /```json\s+(\[[^`]*"AllowedMethods"[^`]*\])\s+```/.exec(readme)?.[1];
  assert(json, "the README has rules for a bucket");
  const rules: Readonly<Record<string, readonly string[] | number>>[] = JSON.parse(json);
  const written = rules.map((rule) => {
    const parts = Object.entries({ ...rule, AllowedOrigins: ["http://127.0.0.1:*"] });
    // The JSON names lists in the plural, the XML repeats the singular.
    return parts.flatMap(([name, value]) => {
      const tag = name.replace(/(Origin|Method|Header)s$/, "$1");
      return [value].flat().map((item) => `<${tag}>${item}</${tag}>`);
    }).join("");
  });
  const rulesText = written.map((rule) => `<CORSRule>${rule}</CORSRule>`).join("");
  return `<CORSConfiguration>${rulesText}</CORSConfiguration>`;
}

async function found(name: string) {
  const digest = await digestOf(bytesOf(name, 400_000));
  return { size: 400_000, type: "application/x-made", digest };
}
