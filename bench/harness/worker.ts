/** Processes that work for a row: calls go to them as lines, outcomes come back. */

import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import {
  type CallLine,
  formatDeviceLine,
  parseDeviceLine,
} from "../../tests/harness/device_lines.ts";
import { type Child, startChild } from "../../tests/harness/child.ts";
import { thisRuntime } from "../../tests/harness/runtimes.ts";

/** What a worker can do: functions of one JSON value that give another. */
// The parameters are as various as the calls; each worker's own type says which.
// deno-lint-ignore no-explicit-any
export type Calls = { readonly [name: string]: (params: any) => unknown };

/** The calls of a worker, seen from outside. */
export type Remote<C extends Calls> = {
  readonly [Name in keyof C]: (
    ...params: Parameters<C[Name]>
  ) => Promise<Awaited<ReturnType<C[Name]>>>;
};

/** A running worker. */
export interface Worker<C extends Calls> extends AsyncDisposable {
  readonly pid: number;
  readonly calls: Remote<C>;
}

/** Answers calls until the other side closes standard input; then the process ends. */
export async function serveCalls(calls: Calls): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    // The other end of this file writes these lines.
    void answer(calls, JSON.parse(line) as CallLine);
  }
  process.exit(0);
}

/** Starts a worker of the runtime that runs this. */
export function startWorker<C extends Calls>(script: URL): Worker<C> {
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  let lastId = 0;
  const child = startChild(thisRuntime.command, [...thisRuntime.runs(), fileURLToPath(script)], {
    onLine: (text) => {
      const line = parseDeviceLine(text);
      if (!line || line.kind === "event") return;
      const outcome = waiting.get(line.id);
      waiting.delete(line.id);
      if (line.kind === "result") outcome?.resolve(line.result);
      else outcome?.reject(new Error(line.message));
    },
  });
  failWhenEnded(child, waiting);
  const call = (name: string) => (params?: unknown): Promise<unknown> => {
    const id = ++lastId;
    const outcome = Promise.withResolvers<unknown>();
    waiting.set(id, outcome);
    child.send(JSON.stringify({ id, call: name, params } satisfies CallLine));
    return outcome.promise;
  };
  return {
    pid: child.pid,
    // Whatever name is asked for is sent; `C` says which ones the worker knows.
    calls: new Proxy({}, { get: (_, name) => call(String(name)) }) as Remote<C>,
    [Symbol.asyncDispose]: async () => {
      await child.end("SIGKILL");
    },
  };
}

function failWhenEnded(child: Child, waiting: Map<number, PromiseWithResolvers<unknown>>): void {
  const fail = (found: string) => {
    const log = child.lines.slice(-20).join("\n");
    for (const { reject } of waiting.values()) {
      reject(new Error(`Cannot get an answer of a worker: ${found}\n${log}`));
    }
    waiting.clear();
  };
  child.ended.then(
    ({ code, signal }) => fail(`it ended (${signal ?? code})`),
    (error: unknown) => fail(`it did not start: ${error}`),
  );
}

async function answer(calls: Calls, { id, call, params }: CallLine): Promise<void> {
  try {
    const run = calls[call];
    if (!run) throw new Error(`The worker does not know the call "${call}"`);
    say(formatDeviceLine({ kind: "result", id, result: await run(params) }));
  } catch (error) {
    const message = error instanceof Error ? error.stack ?? error.message : String(error);
    say(formatDeviceLine({ kind: "error", id, message }));
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
