/** A device as a process: calls come as lines on standard input, outcomes go to standard output. */

import process from "node:process";
import { createInterface } from "node:readline";
import { deviceCalls, DeviceCore } from "./device_core.ts";
import { type CallLine, type DeviceLine, formatDeviceLine } from "./device_lines.ts";

const device = new DeviceCore(() => say({ kind: "event" }));
process.on("unhandledRejection", (reason) => device.addFault(`unhandled rejection: ${reason}`));
process.on("uncaughtException", (error) => device.addFault(`uncaught exception: ${error}`));

for await (const line of createInterface({ input: process.stdin })) {
  // The test writes these lines with the same type.
  void answer(JSON.parse(line) as CallLine);
}
process.exit(0); // The test is gone, or done with this device.

async function answer({ id, call, params }: CallLine): Promise<void> {
  try {
    const name = deviceCalls.find((known) => known === call);
    if (!name) throw new Error(`The device does not know the call "${call}"`);
    // `params` was typed by the caller for this very name.
    const run = device[name].bind(device) as (params: unknown) => Promise<unknown>;
    say({ kind: "result", id, result: await run(params) });
  } catch (error) {
    const { message, code } = error instanceof Error
      ? error as Error & { readonly code?: string }
      : { message: String(error), code: undefined };
    say({ kind: "error", id, message, code });
  }
}

function say(line: DeviceLine): void {
  process.stdout.write(`${formatDeviceLine(line)}\n`);
}
