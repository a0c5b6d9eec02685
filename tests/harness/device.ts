/** Devices for tests: Fireproof databases in this process, or in processes of any runtime. */

import { randomUUID } from "node:crypto";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";
import { assertEquals } from "#assert";
import { type Child, startChild } from "./child.ts";
import { type DatabasePlace, type DeviceCalls, deviceCalls, DeviceCore } from "./device_core.ts";
import { type CallLine, parseDeviceLine } from "./device_lines.ts";
import type { Wakes } from "./eventually.ts";
import { type Runtime, thisRuntime } from "./runtimes.ts";

/** A device. Its disposal asserts that nothing went wrong unnoticed. */
export interface Device extends DeviceCalls, Wakes, AsyncDisposable {
  /** Ends its process as a crash does; a device in this process cannot. */
  kill(): Promise<void>;
}

/** An error that a device reported. */
export class DeviceError extends Error {
  override readonly name = "DeviceError";
  /** Code of the HearthError behind it, if it was one. */
  readonly code: string | undefined;

  constructor(message: string, code: string | undefined) {
    super(message);
    this.code = code;
  }
}

/** A place in memory that nobody else has. */
export function memoryPlace(name = "todos"): DatabasePlace {
  const id = randomUUID();
  return { name, base: `memory://${id}`, keys: `memory://${id}-keys` };
}

/** A place on disk, the same each time for the same folder. */
export function diskPlace(folder: string, name = "todos"): DatabasePlace {
  const url = (part: string) => pathToFileURL(join(folder, part)).href;
  return { name, base: url("data"), keys: url("keys") };
}

/** A device in this process, with its database open. @default place in memory */
export async function localDevice(place: DatabasePlace = memoryPlace()): Promise<Device> {
  const listeners = new Listeners();
  const core = new DeviceCore(() => listeners.tell());
  const onRejection = (reason: unknown) => core.addFault(`unhandled rejection: ${reason}`);
  process.on("unhandledRejection", onRejection);
  await core.open(place);
  return {
    ...callsOf((name, params) =>
      // `params` was typed by the caller for this very name.
      (core[name].bind(core) as (params: unknown) => Promise<unknown>)(params)
    ),
    onEvent: (listener) => listeners.add(listener),
    kill: () => Promise.reject(new TypeError("A device in this process cannot be killed")),
    [Symbol.asyncDispose]: async () => {
      await core.close();
      process.off("unhandledRejection", onRejection);
      assertEquals(await core.faults(), []);
    },
  };
}

/** A device in a process of its own, with its database open. @default this runtime, in memory */
export async function startDevice(
  place: DatabasePlace = memoryPlace(),
  runtime: Runtime = thisRuntime,
): Promise<Device> {
  const device = new RemoteDevice(runtime);
  try {
    await device.calls.open(place);
  } catch (error) {
    await device.kill();
    throw error;
  }
  return {
    ...device.calls,
    onEvent: (listener) => device.listeners.add(listener),
    kill: () => device.kill(),
    [Symbol.asyncDispose]: () => device.end(),
  };
}

class RemoteDevice {
  readonly listeners = new Listeners();
  readonly calls: DeviceCalls = callsOf((name, params) => this.#call(name, params));
  readonly #child: Child;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #lastId = 0;
  #ended = false;

  constructor(runtime: Runtime) {
    const script = fileURLToPath(new URL("device_main.ts", import.meta.url));
    this.#child = startChild(runtime.command, [...runtime.runs(), script], {
      onLine: (line) => this.#read(line),
    });
    this.#child.ended.then(
      ({ code, signal }) => this.#fail(`it ended (${signal ?? code})`),
      (error) => this.#fail(`it did not start: ${error}`),
    );
  }

  /** Closes the database, ends the process, and asserts that nothing went wrong in it. */
  async end(): Promise<void> {
    if (this.#ended) return;
    try {
      await this.calls.close();
      assertEquals(await this.calls.faults(), []);
    } finally {
      await this.kill();
    }
  }

  async kill(): Promise<void> {
    await this.#child.end("SIGKILL");
  }

  #call(call: string, params: unknown): Promise<unknown> {
    if (this.#ended) return Promise.reject(new Error(`Cannot call ${call}: the device has ended`));
    const id = ++this.#lastId;
    const outcome = Promise.withResolvers<unknown>();
    this.#waiting.set(id, outcome);
    this.#child.send(JSON.stringify({ id, call, params } satisfies CallLine));
    return outcome.promise;
  }

  #read(text: string): void {
    const line = parseDeviceLine(text);
    if (!line) return;
    if (line.kind === "event") return this.listeners.tell();
    const outcome = this.#waiting.get(line.id);
    this.#waiting.delete(line.id);
    if (line.kind === "result") outcome?.resolve(line.result);
    else outcome?.reject(new DeviceError(line.message, line.code));
  }

  #fail(found: string): void {
    this.#ended = true;
    const log = this.#child.lines.slice(-20).join("\n");
    for (const { reject } of this.#waiting.values()) {
      reject(new Error(`Cannot get an answer of the device: ${found}\n${log}`));
    }
    this.#waiting.clear();
    this.listeners.tell();
  }
}

class Listeners implements Wakes {
  readonly #listeners = new Set<() => void>();

  add(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  onEvent(listener: () => void): () => void {
    return this.add(listener);
  }

  tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

/** The calls of a device, each passed on with its name. */
export function callsOf(
  call: (name: keyof DeviceCalls, params: unknown) => Promise<unknown>,
): DeviceCalls {
  const entries = deviceCalls.map((name) => [name, (params?: unknown) => call(name, params)]);
  // `deviceCalls` lists the keys of DeviceCalls; the core on the other end has their types.
  return Object.fromEntries(entries) as unknown as DeviceCalls;
}
