/** The server's HTTP side: which path leads where, and who may come from where. */

import { upgradeWebSocket } from "@hono/node-server";
import { Hono } from "hono";
import { cors } from "hono/cors";
import { HearthError } from "../protocol/errors.ts";
import { paths, subprotocol } from "../protocol/version.ts";
import { answerBlob } from "./blob_routes.ts";
import { toPublicError } from "./dispatch.ts";
import type { Services } from "./handler.ts";
import { errorResponse } from "./http_answer.ts";
import { isAllowedOrigin } from "./origins.ts";
import { answerRpc } from "./rpc.ts";

/** What {@linkcode createApp} works with. */
export interface AppDeps {
  readonly services: Services;
  /** Browser origins allowed; empty: the server's own and localhost. */
  readonly origins: readonly string[];
  /** The server's base URL as a client reaches it that names this host. */
  readonly toBaseUrl: (host: string | undefined) => string;
}

/** How long the store may take to answer `/readyz`. */
const readyMs = 2_000;

/** Makes the app. Sockets that it lets through arrive at the WebSocket server behind it. */
export function createApp({ services, origins, toBaseUrl }: AppDeps): Hono {
  const app = new Hono();
  const isAllowed = (origin: string | undefined, host: string | undefined) =>
    isAllowedOrigin(origin, host, origins);

  app.use("/v1/*", async (c, next) => {
    if (!isAllowed(c.req.header("origin"), c.req.header("host"))) {
      return errorResponse(new HearthError("FORBIDDEN", "Cannot serve pages of this origin"));
    }
    await next();
    if (services.stopping.aborted) c.header("connection", "close");
  });
  const share = cors({
    // The middleware above has refused all others. Without credentials: tokens are no cookies.
    origin: (origin) => origin,
    allowMethods: ["GET", "POST", "PUT"],
    allowHeaders: ["authorization", "content-type"],
    maxAge: 600,
  });
  app.use(paths.rpc, share);
  app.use(`${paths.blobs}/*`, share);

  app.get(
    paths.sync,
    async (c, next) => {
      if (services.stopping.aborted) {
        return errorResponse(new HearthError("UNAVAILABLE", "Cannot open: the server is stopping"));
      }
      if (c.req.header("upgrade")?.toLowerCase() !== "websocket") {
        return c.text("This is a WebSocket", 426, { upgrade: "websocket" });
      }
      const offered = c.req.header("sec-websocket-protocol")?.split(",").map((it) => it.trim());
      if (!offered?.includes(subprotocol)) {
        return c.text(`The subprotocol is ${subprotocol}`, 400);
      }
      await next();
    },
    // The socket itself is served where the WebSocket server announces it.
    upgradeWebSocket(() => ({})),
  );
  app.post(paths.rpc, (c) => answerRpc(services, c.req.raw, toBaseUrl(c.req.header("host"))));
  app.on(["GET", "PUT"], `${paths.blobs}/*`, (c) => answerBlob(services, c.req.raw));
  app.get("/healthz", (c) => c.text("ok"));
  app.get(
    "/readyz",
    async (c) => await isReady(services) ? c.text("ready") : c.text("not ready", 503),
  );

  app.notFound((c) => c.text("Not found", 404));
  app.onError((error) => errorResponse(toPublicError(services, error)));
  return app;
}

async function isReady({ metaStore, stopping, clock }: Services): Promise<boolean> {
  if (stopping.aborted) return false;
  let cancel = (): void => {};
  const late = new Promise<false>((resolve) => {
    cancel = clock.after(readyMs, () => resolve(false));
  });
  const answered = metaStore.bounds("hearth/ready").then(() => true, () => false);
  return await Promise.race([answered, late]).finally(cancel);
}
