/** Messages over a WebSocket, by the class that browsers, Deno, Bun and Node share. */

import { HearthError } from "../protocol/errors.ts";
import { paths, subprotocol } from "../protocol/version.ts";
import { toEndpoint } from "./endpoint.ts";
import type { Dialer, DialOptions, Transport, TransportEvents } from "./transport.ts";

/** Opens sockets to the server at a base URL. */
export function createWebSocketDialer(baseUrl: string): Dialer {
  const url = toEndpoint(baseUrl, paths.sync);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return { open: (events, options) => open(url, events, options) };
}

function open(url: URL, events: TransportEvents, { signal }: DialOptions): Promise<Transport> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const socket = new WebSocket(url, [subprotocol]);
    socket.binaryType = "arraybuffer";
    const fail = (reason: unknown) => {
      signal.removeEventListener("abort", onAbort);
      silence(socket);
      socket.close();
      reject(reason);
    };
    const onAbort = () => fail(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    socket.onerror = () => fail(cannotOpen(url, "it cannot be reached or refuses sockets"));
    socket.onclose = ({ code }) => fail(cannotOpen(url, `it closed with ${code}`));
    socket.onopen = () => {
      if (socket.protocol !== subprotocol) {
        return fail(cannotOpen(url, `it does not speak ${subprotocol}`));
      }
      signal.removeEventListener("abort", onAbort);
      resolve(wrap(socket, events));
    };
  });
}

function cannotOpen(url: URL, found: string): HearthError {
  return new HearthError("CLOSED", `Cannot open a socket to ${url}: ${found}`);
}

function wrap(socket: WebSocket, events: TransportEvents): Transport {
  const end = (code: number, reason: string) => {
    silence(socket);
    // One runtime says 0 where RFC 6455 says 1006: the link broke.
    events.onClose({ code: code || 1006, reason });
  };
  socket.onmessage = ({ data }: MessageEvent<unknown>) => {
    if (data instanceof ArrayBuffer) return events.onMessage(new Uint8Array(data));
    socket.close();
    end(1003, "a message was text");
  };
  socket.onclose = ({ code, reason }) => end(code, reason);
  // Every runtime follows it up with `close`.
  socket.onerror = null;
  return {
    pushes: true,
    get bufferedBytes() {
      return socket.bufferedAmount;
    },
    send(message) {
      // The type says that the bytes may be shared memory; nothing here makes such.
      if (socket.readyState === WebSocket.OPEN) socket.send(message as Uint8Array<ArrayBuffer>);
    },
    close(code = 1000, reason = "") {
      if (!socket.onclose) return;
      silence(socket);
      // Of the standard's own codes a browser lets a page send only this one.
      socket.close(code >= 3000 && code < 5000 ? code : 1000, reason);
      // A dead peer never answers the closing handshake: the end does not wait for it.
      queueMicrotask(() => events.onClose({ code, reason }));
    },
  };
}

/** What the socket still says is of no interest any more. */
function silence(socket: WebSocket): void {
  socket.onopen = socket.onmessage = socket.onclose = null;
  // Some runtimes report an error without a listener as uncaught.
  socket.onerror = () => {};
}
