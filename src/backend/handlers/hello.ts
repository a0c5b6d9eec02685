/** `hello` opens the session, `auth` renews its token. */

import { HearthError } from "../../protocol/errors.ts";
import { protocolVersion } from "../../protocol/version.ts";
import { type Handler, sessionOf } from "../handler.ts";
import { openSession, renewSession } from "../session.ts";

/** Tells what the server is and does; over a socket it opens the session. */
export const hello: Handler<"hello"> = async (services, { version, token }, peer) => {
  if (version !== protocolVersion) {
    throw new HearthError(
      "VERSION_UNSUPPORTED",
      `Cannot speak version ${version}: this server speaks ${protocolVersion}`,
    );
  }
  if (peer.via === "websocket") {
    if (peer.session) {
      throw new HearthError("ALREADY_GREETED", "Cannot say hello: the session is open already");
    }
    peer.adopt(openSession(services.newId(), await services.verify(token ?? "")));
  } else if (token !== undefined) {
    // Over HTTP the bearer token counts; another one here must be good as well.
    renewSession(sessionOf(peer), await services.verify(token));
  }
  const session = sessionOf(peer);
  return {
    version: protocolVersion,
    session: session.id,
    server: services.serverName,
    epoch: services.metaStore.epoch,
    heartbeatMs: services.heartbeatMs,
    expiresAt: session.expiresAt,
    limits: services.limits,
  };
};

/** Puts a fresh token of the same subject in force. */
export const auth: Handler<"auth"> = async (services, { token }, peer) => {
  const identity = await services.verify(token);
  peer.adopt(renewSession(sessionOf(peer), identity));
  return { expiresAt: identity.expiresAt };
};
