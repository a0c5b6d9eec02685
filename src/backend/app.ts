/** The server's HTTP side: which path leads where, and what pages of other origins may do. */

import type { HttpBindings } from "@hono/node-server";
import { Hono, type MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
import { HearthError } from "../protocol/errors.ts";
import { paths } from "../protocol/version.ts";
import { answerBlob } from "./blob_routes.ts";
import { toPublicError } from "./dispatch.ts";
import type { FireproofDoor } from "./fireproof/door.ts";
import { paths as fireproofPaths } from "./fireproof/paths.ts";
import type { Services } from "./handler.ts";
import { errorResponse } from "./http_answer.ts";
import { answerRpc } from "./rpc.ts";

/** What {@linkcode createApp} works with. */
export interface AppDeps {
  readonly services: Services;
  /** The stock client's door, when it is open. */
  readonly fireproof?: FireproofDoor | undefined;
  /** Whether pages of this origin may talk to the server, by this name of it. */
  readonly isAllowed: (origin: string | undefined, host: string | undefined) => boolean;
  /** The server's base URL as a client reaches it that names this host. */
  readonly toBaseUrl: (host: string | undefined) => string;
}

/** The app, which finds Node's own request in its environment. */
export type App = Hono<{ Bindings: HttpBindings }>;

/** How long the store may take to answer `/readyz`. */
const readyMs = 2_000;

/** Makes the app. */
export function createApp({ services, fireproof, isAllowed, toBaseUrl }: AppDeps): App {
  const app: App = new Hono();

  const guard: MiddlewareHandler = async (c, next) => {
    if (!isAllowed(c.req.header("origin"), c.req.header("host"))) {
      return errorResponse(new HearthError("FORBIDDEN", "Cannot serve pages of this origin"));
    }
    await next();
    if (services.stopping.aborted) c.header("connection", "close");
  };
  app.use("/v1/*", guard);
  const share = cors({
    // The middleware above has refused all others. Without credentials: tokens are no cookies.
    origin: (origin) => origin,
    allowMethods: ["GET", "POST", "PUT"],
    allowHeaders: ["authorization", "content-type"],
    maxAge: 600,
  });
  app.use(paths.rpc, share);
  app.use(`${paths.blobs}/*`, share);

  // Requests that ask for the upgrade go another way (upgrade.ts).
  app.get(paths.sync, (c) => c.text("This is a WebSocket", 426, { upgrade: "websocket" }));
  app.post(paths.rpc, (c) =>
    answerRpc(services, {
      request: c.req.raw,
      incoming: c.env.incoming,
      baseUrl: toBaseUrl(c.req.header("host")),
    }));
  app.on(
    ["GET", "PUT"],
    `${paths.blobs}/*`,
    (c) => answerBlob(services, c.req.raw, c.env.incoming),
  );
  if (fireproof) openFireproof(app, fireproof, guard, toBaseUrl);
  app.get("/healthz", (c) => c.text("ok"));
  app.get(
    "/readyz",
    async (c) => await isReady(services) ? c.text("ready") : c.text("not ready", 503),
  );

  app.notFound((c) => c.text("Not found", 404));
  app.onError((error) => errorResponse(toPublicError(services, error)));
  return app;
}

/** Paths of the stock client, which come from its pages with whatever headers it has. */
function openFireproof(
  app: App,
  door: FireproofDoor,
  guard: MiddlewareHandler,
  toBaseUrl: AppDeps["toBaseUrl"],
): void {
  const share = cors({ origin: (origin) => origin, allowMethods: ["GET", "PUT", "DELETE"] });
  for (const path of [fireproofPaths.http, `${fireproofPaths.blobs}/*`]) {
    app.use(path, guard);
    app.use(path, share);
  }
  app.put(fireproofPaths.http, (c) =>
    door.answerMessage(c.env.incoming, {
      baseUrl: toBaseUrl(c.req.header("host")),
      query: new URL(c.req.url).searchParams,
    }));
  app.get(
    fireproofPaths.socket,
    (c) => c.text("This is a WebSocket", 426, { upgrade: "websocket" }),
  );
  app.on(
    ["GET", "PUT", "DELETE"],
    `${fireproofPaths.blobs}/*`,
    (c) => door.answerBlob(c.req.raw, c.env.incoming),
  );
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
