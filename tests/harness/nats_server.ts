/** A NATS server of the test's own, on a free port. */

import { existsSync } from "node:fs";
import process from "node:process";
import { type Child, startChild } from "./child.ts";
import { freePort } from "./ports.ts";

/** A server that can be cut and started again on its port. */
export interface NatsServer extends AsyncDisposable {
  readonly port: number;
  start(): Promise<void>;
  cut(): Promise<void>;
}

/** The program, or nothing. */
export function findNatsServer(): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(":"), "/usr/sbin", "/usr/local/bin"];
  return folders.map((folder) => `${folder}/nats-server`).find((path) => existsSync(path));
}

/** Starts one. */
export async function startNatsServer(): Promise<NatsServer> {
  const command = findNatsServer() ?? "nats-server";
  const port = await freePort();
  let child: Child | undefined;
  const server: NatsServer = {
    port,
    async start() {
      const ready = Promise.withResolvers<void>();
      const args = ["--addr", "127.0.0.1", "--port", `${port}`];
      const started = startChild(command, args, {
        onLine: (line) => line.includes("Server is ready") && ready.resolve(),
      });
      child = started;
      const failed = started.ended.then(() => {
        throw new Error(`nats-server has ended: ${started.lines.join("\n")}`);
      });
      // Its end is no failure once it has been ready.
      failed.catch(() => {});
      await Promise.race([ready.promise, failed]);
    },
    async cut() {
      await child?.end("SIGKILL");
      child = undefined;
    },
    [Symbol.asyncDispose]: () => server.cut(),
  };
  await server.start();
  return server;
}
