/** A WebSocket client over bare TCP, which can stop to read and never answers a ping. */

import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import { decodeFrames, encodeRequest, type Frame } from "../../../src/protocol/frames.ts";
import { paths, subprotocol } from "../../../src/protocol/version.ts";

const deadlineMs = 60_000;

/** An open link. */
export class TcpSocket {
  readonly frames: Frame[] = [];
  /** Opcodes of control frames, in order. */
  readonly controls: number[] = [];
  /** The close code that came, if any. */
  closeCode: number | undefined;
  ended = false;
  readonly #socket: Socket;
  readonly #wakes = new Set<() => void>();
  #buffer = Buffer.alloc(0);
  #isOpen = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (piece: Uint8Array) => {
      this.#buffer = Buffer.concat([this.#buffer, piece]);
      this.#read();
      for (const wake of this.#wakes) wake();
    });
    // A link that is cut is what some tests are about; `close` follows.
    socket.on("error", () => {});
    socket.on("close", () => {
      this.ended = true;
      for (const wake of this.#wakes) wake();
    });
  }

  /** Opens a link; `headers` replace those of the handshake. */
  static async open(
    url: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<TcpSocket> {
    const { hostname, port, host } = new URL(url);
    const socket = connect(Number(port), hostname);
    const link = new TcpSocket(socket);
    const lines = Object.entries({
      Host: host,
      Upgrade: "websocket",
      Connection: "Upgrade",
      "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
      "Sec-WebSocket-Protocol": subprotocol,
      ...headers,
    }).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`GET ${paths.sync} HTTP/1.1\r\n${lines.join("")}\r\n`);
    await link.until(() => link.#isOpen || link.ended);
    return link;
  }

  /** The first line that the server answered. */
  statusLine = "";

  /** Sends a request. */
  ask(id: number, method: string, params: unknown): void {
    this.sendFrame(0x2, encodeRequest(id, method, params));
  }

  /** Sends one WebSocket frame, masked with zeros. */
  sendFrame(opcode: number, payload: Uint8Array): void {
    const { length } = payload;
    const head = length < 126
      ? Buffer.from([0x80 | opcode, 0x80 | length])
      : Buffer.from([0x80 | opcode, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
    if (length >= 126) head.writeUInt32BE(length, 6);
    this.#socket.write(Buffer.concat([head, Buffer.alloc(4), payload]));
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Waits until it is so. */
  async until(isSo: () => boolean): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const look = () => isSo() && resolve();
    const timer = setTimeout(() => reject(new Error("it does not become so")), deadlineMs);
    this.#wakes.add(look);
    look();
    await promise.finally(() => {
      clearTimeout(timer);
      this.#wakes.delete(look);
    });
  }

  #read(): void {
    if (!this.#isOpen) {
      const end = this.#buffer.indexOf("\r\n\r\n");
      if (end < 0) return;
      this.statusLine = this.#buffer.subarray(0, this.#buffer.indexOf("\r\n")).toString();
      this.#buffer = this.#buffer.subarray(end + 4);
      this.#isOpen = true;
    }
    for (let frame = this.#take(); frame; frame = this.#take()) {
      const { opcode, payload } = frame;
      if (opcode === 0x2) this.frames.push(...decodeFrames(payload, { maxItems: 1 << 24 }));
      else this.controls.push(opcode);
      if (opcode === 0x8) this.closeCode = payload.readUInt16BE(0);
    }
  }

  #take(): { readonly opcode: number; readonly payload: Buffer } | undefined {
    const buffer = this.#buffer;
    if (buffer.length < 2) return undefined;
    const short = buffer.readUInt8(1) & 0x7f;
    const head = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (buffer.length < head) return undefined;
    const length = short < 126
      ? short
      : short === 126
      ? buffer.readUInt16BE(2)
      : Number(buffer.readBigUInt64BE(2));
    if (buffer.length < head + length) return undefined;
    // A copy, since decoded binary is a view of it.
    const payload = Buffer.from(buffer.subarray(head, head + length));
    this.#buffer = buffer.subarray(head + length);
    return { opcode: buffer.readUInt8(0) & 0x0f, payload };
  }
}
