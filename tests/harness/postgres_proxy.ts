/** A TCP proxy before Postgres that counts commits, and cuts a connection at a moment of the test's choice. */

import { Buffer } from "node:buffer";
import { connect, createServer, type Socket } from "node:net";
import { freePort } from "./ports.ts";
import { Conversation, MessageSplitter, type Way } from "./postgres_messages.ts";
import { serverUrl } from "./postgres_server.ts";

/**
 * When the next connection is cut:
 * - `before-commit`: when the client sends what makes a batch durable, `commit` or the one statement
 *   that writes it, which the server never gets;
 * - `after-commit`: when the server answers that it is durable, which the client never gets;
 * - a number: when so many more bytes have gone through, either way.
 */
export type Cut = "before-commit" | "after-commit" | number;

/** A running proxy. */
export interface PostgresProxy extends AsyncDisposable {
  /** Connections cut so far. */
  readonly cuts: number;
  /** Batches that clients sent to be made durable, by the way in which they did. */
  readonly sent: Readonly<Record<Way, number>>;
  /** Those that the server did make durable. */
  readonly kept: Readonly<Record<Way, number>>;
  /** Most batches that one connection had on their way at once. */
  readonly mostAtOnce: number;
  /** The same database by way of the proxy. */
  through(url: string): string;
  /** Cuts one connection. Nothing calls it off. @param skip how many such moments pass before */
  cutNext(cut: Cut | undefined, skip?: number): void;
}

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
  #skip = 0;
  readonly sent = { statement: 0, transaction: 0 };
  readonly kept = { statement: 0, transaction: 0 };
  mostAtOnce = 0;
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

  cutNext(cut: Cut | undefined, skip = 0): void {
    this.#cut = cut;
    this.#skip = skip;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#listener.close(resolve));
  }

  #accept(client: Socket): void {
    const server = connect(Number(serverUrl.port || 5432), serverUrl.hostname);
    // Small messages go at once, as without a proxy.
    for (const socket of [client, server]) socket.setNoDelay(true);
    const conversation = new Conversation();
    const asked = new MessageSplitter("client");
    this.#pipe(client, server, asked, (message) => {
      const way = conversation.ask(message);
      if (way) this.sent[way]++;
      this.mostAtOnce = Math.max(this.mostAtOnce, conversation.atOnce);
      return way ? "before-commit" : undefined;
    });
    const answered = new MessageSplitter("server");
    this.#pipe(server, client, answered, (message) => {
      const way = conversation.answer(message);
      if (way) this.kept[way]++;
      return way ? "after-commit" : undefined;
    });
  }

  #pipe(
    from: Socket,
    to: Socket,
    splitter: MessageSplitter,
    momentOf: (message: Buffer) => Cut | undefined,
  ): void {
    this.#sockets.add(from);
    from.on("data", (bytes: Buffer) => {
      const passed: Buffer[] = [];
      const isCut = splitter.push(bytes).some((message) => {
        const length = this.#passing(message, momentOf(message));
        passed.push(message.subarray(0, length));
        return length < message.length;
      });
      to.write(Buffer.concat(passed));
      if (!isCut) return;
      this.#cut = undefined;
      this.cuts++;
      // What went through still arrives.
      to.end();
      from.destroy();
    });
    from.on("error", () => {}); // `close` follows.
    from.on("close", () => {
      this.#sockets.delete(from);
      to.end();
    });
  }

  /** How many bytes of this message go through. */
  #passing({ length }: Buffer, moment: Cut | undefined): number {
    if (typeof this.#cut === "number") {
      const left = this.#cut;
      this.#cut -= length;
      return Math.min(left, length);
    }
    if (this.#cut === undefined || this.#cut !== moment) return length;
    return this.#skip-- > 0 ? length : 0;
  }
}
