/** `reqGestalt`, `reqOpen`, `reqClose`: what the server can do, and connections' names. */

import type { Call, ConnectionId } from "../call.ts";
import { gestaltFor } from "../gestalt.ts";

/** Says what the server can do. */
export function gestalt({ query }: Call): object {
  return { gestalt: gestaltFor(query.get("capabilities")) };
}

/** Names a connection. A client that comes back brings its old names, and keeps them. */
export function open(
  call: Call,
  { conn }: { readonly conn: { readonly reqId: string; readonly resId?: string | undefined } },
): object {
  const id = { reqId: conn.reqId, resId: conn.resId ?? call.services.newId() };
  call.socket?.openId(id, call.session());
  return { conn: id };
}

/** Forgets a connection, and what was bound on it. */
export function close(call: Call, { conn }: { readonly conn: ConnectionId }): object {
  call.socket?.closeId(conn);
  return { conn };
}
