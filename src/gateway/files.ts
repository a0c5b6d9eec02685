/**
 * Attachments: Fireproof 0.24 keeps `_files` in the local store and never asks a remote for them.
 * This gives the local file store a second place to look.
 */

import { NotFoundError } from "@fireproof/core";
import type { AnyLink, FileStore, Loadable } from "@fireproof/core-types-blockstore";
import { CID } from "multiformats/cid";
import type { Client } from "../client/client.ts";
import { HearthError } from "../protocol/errors.ts";
import { loadIfStored, verifyBytes } from "./cars.ts";
import { forgetLoading } from "./loading.ts";

/** Fetches a file's bytes from somewhere else, or nothing when it is not there either. */
type Source = (cid: AnyLink) => Promise<Uint8Array | undefined>;

/** File stores whose `load` was extended: the original, and where to look when it finds nothing. */
const extended = new WeakMap<FileStore, { load: FileStore["load"]; sources: Set<Source> }>();

/** Loads an attachment from this device alone. */
export function loadLocalFile(loader: Loadable, cid: AnyLink): Promise<Uint8Array | undefined> {
  const store = loader.attachedStores.local().active.file;
  return loadIfStored(extended.get(store)?.load ?? store.load.bind(store), cid);
}

/**
 * Lets the device's file store find attachments on the server too, until the signal ends it.
 * What was found is kept on the device.
 */
export function findFilesRemotely(
  loader: Loadable,
  { client, ledger, signal }: { client: Client; ledger: string; signal: AbortSignal },
): void {
  const store = loader.attachedStores.local().active.file;
  const source: Source = async (named) => {
    // Fireproof passes what the document says, which is a group of one.
    const cid = CID.parse(`${named}`);
    // An app that is offline gets its error at once: only a file that is on its way is waited for.
    if (client.status.state === "waiting" || client.status.state === "denied") {
      throw new HearthError("CLOSED", `Cannot load file ${cid} of "${ledger}": the server is away`);
    }
    let found: Uint8Array | undefined;
    await client.getBlobs(ledger, [{ store: "file", cid: `${cid}` }], async ({ bytes }) => {
      await verifyBytes(cid, bytes, store);
      found = bytes;
    }, { signal });
    return found;
  };
  const { sources } = extend(loader, store);
  sources.add(source);
  signal.addEventListener("abort", () => sources.delete(source), { once: true });
}

function extend(loader: Loadable, store: FileStore) {
  const known = extended.get(store);
  if (known) return known;
  const entry = { load: store.load.bind(store), sources: new Set<Source>() };
  extended.set(store, entry);
  store.load = async (cid) => {
    const local = await loadIfStored(entry.load, cid);
    if (local) return { cid, bytes: local };
    try {
      for (const source of entry.sources) {
        const bytes = await source(cid);
        if (!bytes) continue;
        await store.save({ cid, bytes });
        return { cid, bytes };
      }
      throw new NotFoundError(`File ${cid} is neither on this device nor on the server`);
    } catch (error) {
      // The loader takes note of this failure as soon as it hears of it.
      setTimeout(() => forgetLoading(loader, cid), 0);
      throw error;
    }
  };
  return entry;
}
