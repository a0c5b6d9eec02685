/** A TCP proxy that fails on demand: what networks do to connections, switchable at run time. */

import { connect, createServer, type Server, type Socket } from "node:net";
import { freePort } from "./ports.ts";

/**
 * What happens to connections:
 * - `pass`: bytes go both ways;
 * - `hole`: connections are accepted and kept, bytes are swallowed. One that lost a byte stays a
 *   hole for its life, as behind a router that forgot it: only its own heartbeat can find out;
 * - `slow`: bytes go both ways, `bytesPerSecond` on each connection and direction;
 * - `reset`: all connections, old and new, end with a reset;
 * - `refuse`: all connections end, and nobody listens any more.
 */
export type FaultMode = "pass" | "hole" | "slow" | "reset" | "refuse";

/** Options of {@linkcode startFaultProxy}. */
export interface FaultProxyOptions {
  /** Port of the server behind, on the loopback address. */
  readonly target: number;
  /** @default "pass" */
  readonly mode?: FaultMode;
  /** Speed in mode `slow`. @default 65536 */
  readonly bytesPerSecond?: number;
}

/** A running proxy. */
export interface FaultProxy extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  readonly mode: FaultMode;
  /** Connections accepted so far. */
  readonly accepted: number;
  /** Connections open now. */
  readonly open: number;
  /** Bytes that clients have sent, swallowed ones included. */
  readonly bytesUp: number;
  /** Bytes that the server has sent, swallowed ones included. */
  readonly bytesDown: number;
  /** Switches the mode, for old connections as for new ones. */
  set(mode: FaultMode): Promise<void>;
}

/** How often a slow connection sends. */
const tickMs = 20;

/** Starts a proxy on a port of its own. */
export async function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const proxy = new TcpProxy(options, await freePort());
  await proxy.set(options.mode ?? "pass");
  return proxy;
}

/** One accepted connection and its way on. */
interface Link {
  readonly client: Socket;
  readonly server: Socket;
  /** Whether it has swallowed bytes, after which it can never be whole again. */
  lost: boolean;
}

class TcpProxy implements FaultProxy {
  readonly port: number;
  readonly #target: number;
  readonly #bytesPerSecond: number;
  readonly #links = new Set<Link>();
  #listener: Server | undefined;
  #mode: FaultMode = "refuse";
  accepted = 0;
  bytesUp = 0;
  bytesDown = 0;

  constructor({ target, bytesPerSecond = 65_536 }: FaultProxyOptions, port: number) {
    this.port = port;
    this.#target = target;
    this.#bytesPerSecond = bytesPerSecond;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get mode(): FaultMode {
    return this.#mode;
  }

  get open(): number {
    return this.#links.size;
  }

  async set(mode: FaultMode): Promise<void> {
    this.#mode = mode;
    if (mode === "reset" || mode === "refuse") {
      for (const link of this.#links) {
        this.#reset(link);
      }
    }
    if (mode === "refuse") await this.#stopListening();
    else await this.#listen();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.set("refuse");
  }

  #listen(): Promise<void> {
    if (this.#listener) return Promise.resolve();
    const listener = createServer({ allowHalfOpen: true }, (client) => this.#accept(client));
    this.#listener = listener;
    return new Promise((resolve, reject) => {
      listener.once("error", reject);
      listener.listen(this.port, "127.0.0.1", resolve);
    });
  }

  #stopListening(): Promise<void> {
    const listener = this.#listener;
    this.#listener = undefined;
    return new Promise((resolve) => listener ? listener.close(() => resolve()) : resolve());
  }

  #accept(client: Socket): void {
    this.accepted++;
    const server = connect({ port: this.#target, host: "127.0.0.1", allowHalfOpen: true });
    const link: Link = { client, server, lost: false };
    this.#links.add(link);
    this.#pipe(link, client, server, (bytes) => (this.bytesUp += bytes));
    this.#pipe(link, server, client, (bytes) => (this.bytesDown += bytes));
    if (this.#mode === "reset" || this.#mode === "refuse") this.#reset(link);
  }

  #pipe(link: Link, from: Socket, to: Socket, count: (bytes: number) => void): void {
    from.on("data", (bytes: Uint8Array) => {
      count(bytes.length);
      if (this.#mode === "hole") link.lost = true;
      if (link.lost) return;
      if (this.#mode === "slow") return void this.#sendSlowly(bytes, from, to);
      if (!to.write(bytes)) pauseUntilDrained(from, to);
    });
    from.on("end", () => {
      if (!this.#swallows(link)) to.end();
    });
    from.on("error", () => {}); // `close` follows.
    from.on("close", () => {
      // In a hole neither side hears of the other's end.
      if (!this.#swallows(link) || to.destroyed) this.#close(link);
    });
  }

  #swallows(link: Link): boolean {
    return link.lost || this.#mode === "hole";
  }

  async #sendSlowly(bytes: Uint8Array, from: Socket, to: Socket): Promise<void> {
    const step = Math.max(1, Math.floor(this.#bytesPerSecond * tickMs / 1000));
    from.pause();
    for (let at = 0; at < bytes.length && !to.destroyed; at += step) {
      to.write(bytes.subarray(at, at + step));
      await new Promise((resolve) => setTimeout(resolve, tickMs));
    }
    from.resume();
  }

  #reset(link: Link): void {
    // On Node a reset after our own end leaves a handle open, for which the process waits.
    if (link.client.writableEnded) link.client.destroy();
    else link.client.resetAndDestroy();
    this.#close(link);
  }

  #close(link: Link): void {
    this.#links.delete(link);
    link.client.destroy();
    link.server.destroy();
  }
}

function pauseUntilDrained(from: Socket, to: Socket): void {
  from.pause();
  to.once("drain", () => from.resume());
}
