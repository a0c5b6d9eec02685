/** A device in a page of headless Chromium: the page is served here, the calls go in from outside. */

import { randomUUID } from "node:crypto";
import { accessSync, constants } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { assertEquals } from "#assert";
import { callsOf, type Device } from "../harness/device.ts";
import type { DatabasePlace } from "../harness/device_core.ts";

/** A device in a page. */
export interface BrowserDevice extends Device {
  /** Loads the page anew and opens the same database. */
  reload(): Promise<void>;
  /** Takes the page's network away, or gives it back. */
  setOffline(offline: boolean): Promise<void>;
}

/** The slice of playwright-core in use: https://playwright.dev/docs/api/class-playwright */
interface Playwright {
  readonly chromium: {
    launch(options: { executablePath: string; args: readonly string[] }): Promise<Browser>;
  };
}
interface Browser {
  newContext(): Promise<Context>;
  close(): Promise<void>;
}
interface Context {
  newPage(): Promise<Page>;
  setOffline(offline: boolean): Promise<void>;
}
interface Page {
  goto(url: string): Promise<unknown>;
  reload(): Promise<unknown>;
  evaluate<T>(run: (input: T) => unknown, input: T): Promise<unknown>;
  on(event: "pageerror", listener: (error: Error) => void): void;
}

/** The slice of esbuild in use: https://esbuild.github.io/api/#build */
interface Esbuild {
  build(options: {
    entryPoints: string[];
    bundle: true;
    write: false;
    format: "esm";
    platform: "browser";
    target: string;
    external: string[];
  }): Promise<{ readonly outputFiles: readonly { readonly text: string }[] }>;
}

const chromium = "/usr/bin/chromium";
const flags = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const toolsFrom = createRequire(new URL("../../.ci/tools/package.json", import.meta.url));

/** Says what the machine lacks for a browser test; nothing when it has all. */
export function lackOfBrowser(): string | undefined {
  for (const tool of ["esbuild", "playwright-core"]) {
    try {
      toolsFrom.resolve(tool);
    } catch {
      return `${tool} is not installed in .ci/tools`;
    }
  }
  try {
    accessSync(chromium, constants.X_OK);
  } catch {
    return `there is no ${chromium}`;
  }
  return undefined;
}

/** Starts a browser with a page of its own, with a database open in IndexedDB. */
export async function startBrowserDevice(): Promise<BrowserDevice> {
  // Both packages are resolved at run time, from a folder that is no part of the project.
  const playwright: Playwright = toolsFrom("playwright-core");
  await using started = new AsyncDisposableStack();
  const site = await servePage(await bundlePage());
  started.defer(() => site.close());
  const browser = await playwright.chromium.launch({ executablePath: chromium, args: flags });
  started.defer(() => browser.close());
  const context = await browser.newContext();
  const page = await context.newPage();
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(`page error: ${error}`));
  const load = async (loading: Promise<unknown>) => {
    await loading;
    assertEquals(errors, []);
    await device.open(place);
  };
  const device = callsOf((name, params) => page.evaluate(callInPage, { name, params }));
  const place = indexedDbPlace();
  await load(page.goto(site.url));
  const ends = started.move();
  return {
    ...device,
    onEvent: () => () => {}, // Nothing comes out of the page unasked: whoever waits looks again.
    kill: () => browser.close(),
    reload: () => load(page.reload()),
    setOffline: (offline) => context.setOffline(offline),
    [Symbol.asyncDispose]: async () => {
      await using _ = ends;
      await device.close();
      assertEquals([...await device.faults(), ...errors], []);
    },
  };
}

/** Runs in the page. */
function callInPage({ name, params }: { name: string; params: unknown }): unknown {
  // page.ts has put it there.
  const { device } = globalThis as unknown as {
    device: Record<string, (params: unknown) => unknown>;
  };
  return device[name]?.(params);
}

function indexedDbPlace(): DatabasePlace {
  const id = randomUUID();
  return { name: "todos", base: `indexeddb://${id}`, keys: `indexeddb://${id}-keys` };
}

async function bundlePage(): Promise<string> {
  const esbuild: Esbuild = toolsFrom("esbuild");
  const { outputFiles } = await esbuild.build({
    entryPoints: [fileURLToPath(new URL("page.ts", import.meta.url))],
    bundle: true,
    write: false,
    format: "esm",
    platform: "browser",
    target: "es2022",
    // What Fireproof imports on servers only, behind a look at the runtime.
    external: ["node:*", "fs", "os", "path", "url"],
  });
  return outputFiles[0]?.text ?? "";
}

async function servePage(script: string): Promise<{ url: string; close(): Promise<void> }> {
  const server = createServer((request, response) => {
    const [type, body] = request.url === "/page.js" ? ["text/javascript", script] : [
      "text/html",
      '<!doctype html><meta charset="utf-8"><script type="module" src="/page.js"></script>',
    ];
    response.writeHead(200, { "content-type": type }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") {
    throw new TypeError("Expected a TCP address");
  }
  return {
    url: `http://127.0.0.1:${address.port}/`,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
