/** A TCP proxy before Postgres that cuts a connection at a moment of the test's choice. */

import { Buffer } from "node:buffer";
import { connect, createServer, type Socket } from "node:net";
import { freePort } from "./ports.ts";
import { serverUrl } from "./postgres_server.ts";

/**
 * When the next connection is cut:
 * - `before-commit`: when the client sends `commit`, which the server never gets;
 * - `after-commit`: when the server answers it, which the client never gets;
 * - a number: when so many more bytes have gone through, either way.
 */
export type Cut = "before-commit" | "after-commit" | number;

/** A running proxy. */
export interface PostgresProxy extends AsyncDisposable {
  /** Connections cut so far. */
  readonly cuts: number;
  /** The same database by way of the proxy. */
  through(url: string): string;
  /** Cuts one connection. Nothing calls it off. */
  cutNext(cut: Cut | undefined): void;
}

/** `commit` as a message of the simple query protocol. */
const commitMessage = Buffer.from("Q\0\0\0\x0bcommit\0", "latin1");
/** The server's answer. */
const commitAnswer = Buffer.from("C\0\0\0\x0bCOMMIT\0", "latin1");

/** Starts a proxy on a port of its own. */
export async function startPostgresProxy(): Promise<PostgresProxy> {
  const port = await freePort();
  const proxy = new Proxy(port);
  await proxy.listen();
  return proxy;
}

class Proxy implements PostgresProxy {
  readonly #port: number;
  readonly #sockets = new Set<Socket>();
  readonly #listener = createServer((client) => this.#accept(client));
  #cut: Cut | undefined;
  cuts = 0;

  constructor(port: number) {
    this.#port = port;
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#listener.once("error", reject);
      this.#listener.listen(this.#port, "127.0.0.1", resolve);
    });
  }

  through(url: string): string {
    return Object.assign(new URL(url), { hostname: "127.0.0.1", port: String(this.#port) }).href;
  }

  cutNext(cut: Cut | undefined): void {
    this.#cut = cut;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#listener.close(resolve));
  }

  #accept(client: Socket): void {
    const server = connect(Number(serverUrl.port || 5432), serverUrl.hostname);
    this.#pipe(client, server, commitMessage, "before-commit");
    this.#pipe(server, client, commitAnswer, "after-commit");
  }

  #pipe(from: Socket, to: Socket, mark: Buffer, moment: Cut): void {
    this.#sockets.add(from);
    from.on("data", (bytes: Buffer) => {
      const forwarded = this.#forwarded(bytes, mark, moment);
      if (forwarded > 0) to.write(bytes.subarray(0, forwarded));
      if (forwarded === bytes.length) return;
      this.#cut = undefined;
      this.cuts++;
      // What was forwarded still arrives.
      to.end();
      from.destroy();
    });
    from.on("error", () => {}); // `close` follows.
    from.on("close", () => {
      this.#sockets.delete(from);
      to.end();
    });
  }

  /** How many of these bytes go through. */
  #forwarded(bytes: Buffer, mark: Buffer, moment: Cut): number {
    if (typeof this.#cut === "number") {
      const left = this.#cut;
      this.#cut -= bytes.length;
      return Math.min(left, bytes.length);
    }
    const at = this.#cut === moment ? bytes.indexOf(mark) : -1;
    return at < 0 ? bytes.length : at;
  }
}
