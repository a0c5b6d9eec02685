/** `bindGetMeta`: all heads at once, and over a socket everything that happens from then on. */

import { type Call, type ConnectionId, Written } from "../call.ts";
import { protocolVersion } from "../errors.ts";
import { writeEvents } from "../events.ts";
import { releaseHeld } from "../held.ts";
import { metaUrl } from "./meta.ts";

/** Binds. A client that comes back binds anew with its old names, and is told all heads again. */
export async function bind(
  call: Call,
  { conn, urlParam }: { readonly conn: ConnectionId; readonly urlParam: object },
): Promise<Written> {
  const { services, socket } = call;
  const ledger = call.ledger();
  // An instance that died may have left some that are whole.
  await releaseHeld(services, ledger);
  const event = {
    tid: call.tid,
    type: "eventGetMeta",
    version: protocolVersion,
    // Its own, never that of whoever writes.
    auth: call.auth,
    conn,
    tenant: call.tenant,
    methodParam: { method: "GET", store: "meta" },
    urlParam,
    signedUrl: metaUrl(call),
  };
  if (socket) {
    return new Written(await socket.bind({ ledger, id: conn, session: call.session(), event }));
  }
  // Over HTTP there is one message to tell it all with.
  const { changes } = await services.reads.after(ledger, undefined);
  return new Written(writeEvents(event, changes).slice(-1));
}
