/** The names by which both sides recognise this protocol. */

/** The only protocol version this release speaks. */
export const protocolVersion = 1;

/** WebSocket subprotocol (RFC 6455 §1.9). */
export const subprotocol = "hearth.v1";

/** Media type of an HTTP body of frames. */
export const contentType = "application/vnd.msgpack";

/** Paths below the server's base URL. */
export const paths = { sync: "/v1/sync", rpc: "/v1/rpc", blobs: "/v1/blobs" } as const;
