/** A process that a test starts: its lines as they come, its end, and no survivor. */

import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** A running process. */
export interface Child {
  readonly pid: number;
  /** The last lines of both outputs, for error messages. */
  readonly lines: readonly string[];
  /** Settles when it has ended and its output is read. */
  readonly ended: Promise<Exit>;
  /** Sends a line to its standard input; does nothing after its end. */
  send(line: string): void;
  /** Closes our end of its outputs, as a reader of its log does that crashes. */
  stopReading(): void;
  /** Ends it by a signal and waits for its end; SIGKILL follows when it does not obey. */
  end(signal: "SIGTERM" | "SIGKILL"): Promise<Exit>;
}

/** Options of {@linkcode startChild}. */
export interface ChildOptions {
  readonly cwd?: string;
  /** Added to the environment of this process. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Called with each line of either output. */
  readonly onLine?: (line: string) => void;
}

/** Lines kept for error messages; older ones are dropped. */
const maxLines = 400;
/** Time to obey SIGTERM. */
const graceMs = 15_000;

const running = new Set<ChildProcessWithoutNullStreams>();
// A test that ends the process without ending its children would leave them behind.
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** Starts a process. */
export function startChild(
  command: string,
  args: readonly string[],
  { cwd, env = {}, onLine }: ChildOptions = {},
): Child {
  const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: "pipe" });
  const lines: string[] = [];
  running.add(child);
  child.stdin.on("error", () => {}); // The end of the process tells what there is to tell.
  for (const output of [child.stdout, child.stderr]) {
    createInterface({ input: output }).on("line", (line) => {
      if (lines.push(line) > maxLines) lines.shift();
      onLine?.(line);
    });
  }
  const ended = new Promise<Exit>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => {
      running.delete(child);
      resolve({ code, signal });
    });
  });
  ended.catch(() => running.delete(child)); // Whoever waits for the end hears of the failed start.
  return {
    pid: child.pid ?? -1,
    lines,
    ended,
    send: (line) => {
      if (child.stdin.writable) child.stdin.write(`${line}\n`);
    },
    stopReading: () => {
      child.stdout.destroy();
      child.stderr.destroy();
    },
    end: async (signal) => {
      // Not `child.kill`: after it Deno reports the signal as end, whatever the end was.
      const runs = child.exitCode === null && child.signalCode === null;
      if (runs && child.pid !== undefined) process.kill(child.pid, signal);
      const timer = setTimeout(() => child.kill("SIGKILL"), graceMs);
      try {
        return await ended;
      } finally {
        clearTimeout(timer);
      }
    },
  };
}
