/**
 * Fireproof's SerdeGateway for `hearth:` URLs. Fireproof keeps one gateway for all databases of a
 * process, so this one holds nothing: each call goes to the attachment that its URL names.
 */

import { Result, URI } from "@adviser/cement";
import { NotFoundError, registerStoreProtocol } from "@fireproof/core";
import type {
  FPEnvelope,
  FPEnvelopeMeta,
  Loadable,
  SerdeGateway,
  SerdeGatewayCtx,
} from "@fireproof/core-types-blockstore";
import type { Attachment } from "./attachment.ts";

/** Opens an attachment for the database that was attached. */
type Opener = (loader: Loadable) => Attachment;

/** Attachments that may start, and those that run, by the id in their URL. */
const openers = new Map<string, Opener>();
const attachments = new Map<string, Attachment>();
let lastId = 0;
let registered = false;

/** The protocol of our store URLs. */
const protocol = "hearth:";
const idParam = "attachment";
/** Fireproof refuses a store whose URL has no version. */
const storeVersion = "v1-hearth";

/** Makes a store URL that leads Fireproof's calls to an attachment yet to be opened. */
export function createStoreUrl(opener: Opener): string {
  register();
  const id = `${++lastId}`;
  openers.set(id, opener);
  return `${protocol}//hearth/?${idParam}=${id}`;
}

function register(): void {
  if (registered) return;
  registered = true;
  // Must come before the first URL of this protocol is parsed: a URL parsed before stays host-less.
  URI.protocolHasHostpart("hearth");
  registerStoreProtocol({
    protocol,
    defaultURI: () => URI.from(`${protocol}//hearth/`),
    serdegateway: () => Promise.resolve(gateway),
  });
}

const gateway: SerdeGateway = {
  buildUrl: (_ctx, url, key) => Promise.resolve(Result.Ok(url.build().setParam("key", key).URI())),

  start({ loader }, url) {
    const id = idOf(url);
    const opener = openers.get(id);
    if (opener && isMeta(url)) {
      openers.delete(id);
      attachments.set(id, opener(loader));
    }
    return Promise.resolve(Result.Ok(url.build().defParam("version", storeVersion).URI()));
  },

  subscribe(_ctx, url, callback) {
    return attempt(() => {
      attachmentOf(url).read(url.toString(), callback);
      return () => {};
    });
  },

  async get<S>(_ctx: SerdeGatewayCtx, url: URI) {
    if (isMeta(url)) {
      // Heads are merged as they come, and told by the listener: there is no other answer.
      await attachments.get(idOf(url))?.firstRead();
      return Result.Err(new NotFoundError("heads come by subscription"));
    }
    return await attempt(async () => {
      const payload = await attachmentOf(url).loadCar(url.getParam("key") ?? "");
      // The envelope of a car is its bytes; `S` is the caller's name for that.
      return { type: "car", payload } as unknown as FPEnvelope<S>;
    });
  },

  put(_ctx, url, body) {
    return attempt(() => {
      // The local store is the queue: cars are read from there when their meta is sent, and what
      // comes after the end is sent by the next attachment.
      if (isMetaEnvelope(body)) attachments.get(idOf(url))?.write(body.payload);
    });
  },

  async close(_ctx, url) {
    return await attempt(async () => {
      if (!isMeta(url)) return;
      await attachments.get(idOf(url))?.close();
      attachments.delete(idOf(url));
    });
  },

  // Compaction removes cars of the device alone; the server keeps what some head may need.
  delete: () => Promise.resolve(Result.Ok(undefined)),
  destroy: () => Promise.resolve(Result.Ok(undefined)),
  getPlain: (_ctx, _url, key) =>
    Promise.resolve(Result.Err(new NotFoundError(`"${key}" is not kept by Hearth`))),
};

function attachmentOf(url: URI): Attachment {
  const attachment = attachments.get(idOf(url));
  if (!attachment) throw new NotFoundError(`"${url.getParam("name")}" was detached`);
  return attachment;
}

function idOf(url: URI): string {
  return url.getParam(idParam) ?? "";
}

function isMeta(url: URI): boolean {
  return url.getParam("store") === "meta";
}

function isMetaEnvelope(envelope: FPEnvelope<unknown>): envelope is FPEnvelopeMeta {
  return envelope.type === "meta";
}

/** Fireproof's gateways never throw: what does becomes an error result. */
async function attempt<T>(work: () => T | Promise<T>): Promise<Result<T>> {
  try {
    return Result.Ok(await work());
  } catch (error) {
    return Result.Err(error instanceof Error ? error : new Error(String(error)));
  }
}
