/** `tell`: an ephemeral message to the ledger's other watchers; kept nowhere. */

import { type Handler, sessionOf } from "../handler.ts";

/** Passes a message on; `from` is the token's subject, which nobody can claim to be. */
export const tell: Handler<"tell"> = ({ publisher }, { ledger, body }, peer) => {
  const sender = peer.via === "websocket" ? peer.watches.find(ledger) : undefined;
  publisher.told(ledger, { from: sessionOf(peer).subject, body }, sender);
  return {};
};
