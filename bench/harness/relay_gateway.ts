/**
 * The reference of live sync: the least that joins two Fireproof databases. A commit's cars and meta
 * go in one message to a bare relay, which passes it on; nothing is asked, checked, confirmed or
 * kept. It only does while both are connected and nothing is lost: a product cannot be made of it.
 */

import type { Buffer } from "node:buffer";
import { Result, URI } from "@adviser/cement";
import { NotFoundError, registerStoreProtocol } from "@fireproof/core";
import type {
  FPEnvelope,
  FPEnvelopeMeta,
  SerdeGateway,
  SerdeGatewayCtx,
} from "@fireproof/core-types-blockstore";
import { exportKeys, importKeys } from "../../src/gateway/keys.ts";
import { toEvent, toMeta } from "../../src/gateway/metas.ts";
import { decodeValues } from "../../src/protocol/decode.ts";
import { encodeValue } from "../../src/protocol/encode.ts";
import type { Meta } from "../../src/protocol/model.ts";
import { openPlainSocket, writerPath } from "./plain_socket.ts";

/** What Fireproof attaches. */
export interface Relay {
  readonly name: string;
  prepare(): Promise<{ readonly [Store in "car" | "file" | "meta"]: { readonly url: string } }>;
  configHash(): string;
}

/** One commit on its way. */
interface Message {
  /** Which process it comes from, since the relay sends it back there too. */
  readonly from: string;
  readonly cars: readonly { readonly cid: string; readonly bytes: Uint8Array }[];
  readonly metas: readonly Meta[];
  readonly keys: readonly string[];
}

const protocol = "relay:";

/**
 * Connects this process, which may attach one database, to a relay. All must be connected before one
 * of them attaches: what is lost is lost for good, and a history of two heads is walked whole for
 * each commit.
 */
export async function openRelay(url: string): Promise<Relay> {
  const from = crypto.randomUUID();
  /** Emptied by nobody: a run makes a few hundred. */
  const cars = new Map<string, Uint8Array>();
  let unsent: { readonly cid: string; readonly bytes: Uint8Array }[] = [];
  let areKeysSent = false;
  /** What comes before the database listens; after that it is taken at once. */
  const early: Message[] = [];
  let receive = (message: Message): Promise<void> => Promise.resolve(void early.push(message));

  const writer = await openPlainSocket(url + writerPath, () => {});
  await openPlainSocket(url, (bytes: Buffer) => {
    // Only the other end of this file writes to the relay.
    const [message] = decodeValues(bytes) as [Message];
    // What fails ends the process, and so the row.
    if (message.from !== from) void receive(message);
  });

  const gateway: SerdeGateway = {
    buildUrl: (_ctx, url, key) => done(url.build().setParam("key", key).URI()),
    start: (_ctx, url) => done(url.build().defParam("version", "v1-relay").URI()),
    close: () => done(undefined),
    delete: () => done(undefined),
    destroy: () => done(undefined),
    getPlain: () => Promise.resolve(Result.Err(new NotFoundError("nothing is kept"))),

    async subscribe({ loader }, _url, callback) {
      receive = async ({ cars: arrived, metas, keys }) => {
        for (const { cid, bytes } of arrived) cars.set(cid, bytes);
        await importKeys(loader, keys);
        const payload = await Promise.all(metas.map((meta) => toEvent(loader.sthis, meta)));
        await callback({ type: "meta", payload });
      };
      for (const message of early) await receive(message);
      return await done(() => {});
    },

    get<S>(_ctx: SerdeGatewayCtx, url: URI) {
      const payload = cars.get(url.getParam("key") ?? "");
      if (!payload) return Promise.resolve(Result.Err(new NotFoundError("it has not come")));
      // The envelope of a car is its bytes; `S` is the caller's name for that.
      return done({ type: "car", payload } as unknown as FPEnvelope<S>);
    },

    async put({ loader }, url, body) {
      const cid = url.getParam("key") ?? "";
      if (body.type === "car" && body.payload instanceof Uint8Array) {
        unsent.push({ cid, bytes: body.payload });
      }
      if (!isMetaEnvelope(body)) return await done(undefined);
      const sent = unsent;
      unsent = [];
      const metas = await Promise.all(body.payload.map((it) => toMeta(loader.sthis, it, [])));
      const keys = areKeysSent ? [] : await exportKeys(loader);
      areKeysSent = true;
      writer.send(encodeValue({ from, cars: sent, metas, keys } satisfies Message));
      return await done(undefined);
    },
  };

  URI.protocolHasHostpart("relay");
  registerStoreProtocol({
    protocol,
    defaultURI: () => URI.from(`${protocol}//relay/`),
    serdegateway: () => Promise.resolve(gateway),
  });
  const stores = { url: `${protocol}//relay/` };
  return {
    name: "relay",
    prepare: () => Promise.resolve({ car: stores, file: stores, meta: stores }),
    configHash: () => from,
  };
}

function done<T>(value: T): Promise<Result<T>> {
  return Promise.resolve(Result.Ok(value));
}

function isMetaEnvelope(envelope: FPEnvelope<unknown>): envelope is FPEnvelopeMeta {
  return envelope.type === "meta";
}
