/** The door for sockets: which requests for an upgrade become one, and what the others are told. */

import type { EventEmitter } from "node:events";
import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { subprotocol } from "../protocol/version.ts";

/** What {@linkcode acceptSockets} works with. */
export interface UpgradeDeps {
  /** Whether pages of this origin may talk to the server, by this name of it. */
  readonly isAllowed: (origin: string | undefined, host: string | undefined) => boolean;
  /** Given when the server stops: nobody is let in any more. */
  readonly stopping: AbortSignal;
  /** Largest message, in bytes; a larger one ends its connection. */
  readonly maxBytes: number;
  /** What is served, by path. */
  readonly doors: ReadonlyMap<string, SocketDoor>;
}

/** What a request for a socket said. */
export interface Asked {
  /** The name by which the client called the server. */
  readonly host: string | undefined;
  readonly query: URLSearchParams;
}

/** What one path serves. */
export interface SocketDoor {
  /** What a client must offer; nothing when it offers none. */
  readonly subprotocol: string | undefined;
  /** Called with each socket that was opened, and with what of its request is needed later. */
  readonly onSocket: (socket: WebSocket, asked: Asked) => void;
}

/**
 * Opens WebSockets for an HTTP server. Each costs memory for as long as it lasts: of the request nothing
 * is kept, which is why it does not take the way of other requests.
 */
export function acceptSockets(server: EventEmitter, deps: UpgradeDeps): void {
  const webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: deps.maxBytes,
    perMessageDeflate: false,
    // Those of other doors were refused if they did not offer theirs.
    handleProtocols: (offered) => offered.has(subprotocol) && subprotocol,
  });
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const status = refusalOf(request, deps);
    if (status !== undefined) return refuse(socket, status);
    const { host } = request.headers;
    const query = new URLSearchParams(request.url?.split("?", 2)[1]);
    const door = doorOf(request, deps);
    webSockets.handleUpgrade(
      request,
      socket,
      head,
      (webSocket) => door?.onSocket(webSocket, { host, query }),
    );
  });
}

/** The status of the answer to a request that is not served; what else is wrong with it `ws` finds. */
function refusalOf(request: IncomingMessage, deps: UpgradeDeps): number | undefined {
  const { headers } = request;
  const door = doorOf(request, deps);
  if (!deps.isAllowed(headers.origin, headers.host)) return 403;
  if (!door) return 404;
  if (deps.stopping.aborted) return 503;
  // Node hands out every upgrade once somebody listens, also to protocols that nobody speaks here.
  if (headers.upgrade?.toLowerCase() !== "websocket") return 426;
  const offered = headers["sec-websocket-protocol"]?.split(",").map((it) => it.trim());
  const { subprotocol } = door;
  return subprotocol === undefined || offered?.includes(subprotocol) ? undefined : 400;
}

function doorOf({ url = "" }: IncomingMessage, { doors }: UpgradeDeps): SocketDoor | undefined {
  return doors.get(url.split("?", 1)[0] ?? "");
}

function refuse(socket: Duplex, status: number): void {
  // A client that is gone meanwhile is told nothing.
  socket.on("error", () => {});
  socket.once("finish", () => socket.destroy());
  const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, "Connection: close"];
  if (status === 426) lines.push("Upgrade: websocket");
  socket.end(`${lines.join("\r\n")}\r\nContent-Length: 0\r\n\r\n`);
}
