/** `reqChat`: a word to one's own other connections on this instance, or to the server. */

import type { Call, ConnectionId } from "../call.ts";
import { protocolVersion } from "../errors.ts";

/** Most connections that one message goes to. */
const maxTargets = 1000;

/**
 * Passes a message on. Only connections of the same subject hear it, or of it: names of others'
 * connections are nobody's business.
 */
export function chat(
  call: Call,
  { conn, message }: { readonly conn: ConnectionId; readonly message: string },
): object {
  const { subject } = call.session();
  if (message.startsWith("/ping")) return { conn, message: "/pong", targets: [conn] };
  if (message.startsWith("/close-connection")) {
    call.socket?.closeSoon();
    return { conn, message, targets: [conn] };
  }
  const targets: ConnectionId[] = [];
  for (const chatter of call.services.chatters) {
    for (const id of chatter.idsOf(subject)) {
      if (targets.push(id) > maxTargets) {
        return { conn, message, targets: targets.slice(0, maxTargets) };
      }
      if (id.reqId === conn.reqId && id.resId === conn.resId) continue;
      chatter.tell({
        // Of its own: on the sender's socket it must not be taken for the answer.
        tid: call.services.newId(),
        type: "resChat",
        version: protocolVersion,
        auth: { type: "error" },
        conn: id,
        message,
        targets: [id],
      });
    }
  }
  return { conn, message, targets };
}
