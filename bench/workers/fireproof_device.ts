/** One real Fireproof database in memory, attached to a ledger: when it was written to, when it heard. */

import { type Database, fireproof } from "@fireproof/core";
import { type Hearth, toHearth } from "../../mod.ts";
import { serveCalls } from "../harness/worker.ts";
import type { Place } from "./reader.ts";

const heard = new Map<string, PromiseWithResolvers<number>>();
let device: { readonly database: Database; readonly hearth: Hearth } | undefined;

const calls = {
  open: async ({ url, ledger, token, name }: Place & { readonly name: string }): Promise<void> => {
    const database = fireproof("bench", {
      storeUrls: { base: `memory://${name}` },
      keyBag: { url: `memory://${name}-keys` },
    });
    database.subscribe((docs) => {
      for (const { _id } of docs) hearing(_id).resolve(now());
    }, true);
    const hearth = toHearth({ url, ledger, token, transport: "websocket" });
    await database.attach(hearth);
    device = { database, hearth };
  },
  /** Puts a small document; gives the time just before. */
  put: async ({ id }: { readonly id: string }): Promise<number> => {
    const start = now();
    await device?.database.put({ _id: id, text: `text of ${id}` });
    return start;
  },
  /** Gives the time at which the subscription told of a document. */
  heard: ({ id }: { readonly id: string }): Promise<number> => hearing(id).promise,
  flush: (): Promise<void> | undefined => device?.hearth.flush(),
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
