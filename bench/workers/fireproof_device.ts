/** One real Fireproof database in memory, attached: when it was written to, when it heard. */

import { type Database, fireproof } from "@fireproof/core";
import { type Hearth, toHearth } from "../../mod.ts";
import { openRelay, type Relay } from "../harness/relay_gateway.ts";
import { serveCalls } from "../harness/worker.ts";
import type { Place } from "./reader.ts";

/** What a device is attached to: a ledger, or a bare relay at this URL. */
export type Attached =
  | { readonly kind: "hearth"; readonly place: Place }
  | { readonly kind: "relay"; readonly url: string };

const heard = new Map<string, PromiseWithResolvers<number>>();
let database: Database | undefined;
let attachable: Relay | Hearth | undefined;
let flush: () => Promise<void> = () => Promise.resolve();

const calls = {
  open: async ({ name, attached }: { readonly name: string; readonly attached: Attached }) => {
    database = fireproof("bench", {
      storeUrls: { base: `memory://${name}` },
      keyBag: { url: `memory://${name}-keys` },
    });
    database.subscribe((docs) => {
      for (const { _id } of docs) hearing(_id).resolve(now());
    }, true);
    if (attached.kind === "relay") {
      attachable = await openRelay(attached.url);
      return;
    }
    const hearth = toHearth({ ...attached.place, transport: "websocket" });
    attachable = hearth;
    flush = () => hearth.flush();
  },
  /** Attaches the database to what was opened. */
  attach: async (): Promise<void> => {
    if (!attachable) throw new Error("Cannot attach: nothing was opened");
    await database?.attach(attachable);
  },
  /** Puts a small document; gives the time just before. */
  put: async ({ id }: { readonly id: string }): Promise<number> => {
    const start = now();
    await database?.put({ _id: id, text: `text of ${id}` });
    return start;
  },
  /** Gives the time at which the subscription told of a document. */
  heard: ({ id }: { readonly id: string }): Promise<number> => hearing(id).promise,
  /** Waits until the server has acknowledged what was put. */
  flush: (): Promise<void> => flush(),
};

function hearing(id: string): PromiseWithResolvers<number> {
  const found = heard.get(id) ?? Promise.withResolvers<number>();
  heard.set(id, found);
  return found;
}

/** Epoch ms with fractions: the processes of one machine share this clock. */
function now(): number {
  return performance.timeOrigin + performance.now();
}

export type FireproofDevice = typeof calls;
await serveCalls(calls);
