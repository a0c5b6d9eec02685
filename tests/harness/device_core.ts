/** One Fireproof database on one device, by operations whose parameters and results are JSON. */

import { type Database, fireproof } from "@fireproof/core";
import { toHearth } from "../../mod.ts";
import { bytesOf, digestOf, textOf } from "./made_bytes.ts";

/** A document, as JSON. */
export interface Doc {
  readonly _id: string;
  readonly [field: string]: unknown;
}

/** Where a database keeps its data and keys. */
export interface DatabasePlace {
  readonly name: string;
  /** URL of the stores: `memory://…` or `file://…`. */
  readonly base: string;
  /** URL of the key bag. */
  readonly keys: string;
}

/** How to reach a ledger. */
export interface LedgerPlace {
  readonly url: string;
  readonly ledger: string;
  readonly token: string;
  readonly transport?: "auto" | "websocket" | "http" | undefined;
}

/** How the stock client reaches a ledger, which its token names. */
export interface StockPlace {
  /** `fpcloud://…` */
  readonly url: string;
  readonly token: string;
}

/** A file to make and attach: its bytes follow from name and size. */
export interface FileOrder {
  readonly name: string;
  readonly bytes: number;
}

/** A file as read back. */
export interface FileFound {
  readonly size: number;
  readonly type: string;
  /** SHA-256, hex. */
  readonly digest: string;
}

/** The sync's status, as JSON. */
export interface StatusFound {
  readonly state: string;
  readonly pending: number;
  /** Code of its error. */
  readonly code?: string | undefined;
}

/** What a device can be told to do. */
export interface DeviceCalls {
  /** Opens the database, and subscribes to it. */
  open(place: DatabasePlace): Promise<void>;
  /** Attaches the open database to a ledger. */
  attach(place: LedgerPlace): Promise<void>;
  /** Attaches the open database by the stock client's own protocol. */
  attachStock(place: StockPlace): Promise<void>;
  /** Puts documents one after another, each a commit of its own. */
  put(order: { readonly docs: readonly Doc[] }): Promise<void>;
  /** Puts documents of so much text each in one commit. */
  bulk(order: { readonly ids: readonly string[]; readonly bytesEach: number }): Promise<void>;
  /** Deletes a document. */
  remove(order: { readonly id: string }): Promise<void>;
  /** All documents by id; a failure counts as fault of the device. */
  docs(): Promise<Readonly<Record<string, Doc>>>;
  /** Ids of the documents that the subscription has told of since the database was opened. */
  heard(): Promise<readonly string[]>;
  /** Puts a document with files. */
  putFiles(order: { readonly id: string; readonly files: readonly FileOrder[] }): Promise<void>;
  /** The files of a document, read to their end. */
  files(order: { readonly id: string }): Promise<Readonly<Record<string, FileFound>>>;
  compact(): Promise<void>;
  flush(): Promise<void>;
  status(): Promise<StatusFound>;
  /** Every status since the last attach, the first included, without repeats of a state. */
  walk(): Promise<readonly string[]>;
  detach(): Promise<void>;
  /** Closes the database; it can be opened again. */
  close(): Promise<void>;
  /** What went wrong where nobody was there to catch it. */
  faults(): Promise<readonly string[]>;
}

/** Names of the calls, for those that pass them on. */
export const deviceCalls = [
  "open",
  "attach",
  "attachStock",
  "put",
  "bulk",
  "remove",
  "docs",
  "heard",
  "putFiles",
  "files",
  "compact",
  "flush",
  "status",
  "walk",
  "detach",
  "close",
  "faults",
] as const satisfies readonly (keyof DeviceCalls)[];

/** A device in this process. */
export class DeviceCore implements DeviceCalls {
  readonly #onEvent: () => void;
  readonly #faults: string[] = [];
  readonly #heard = new Set<string>();
  readonly #walk: string[] = [];
  #open: Database | undefined;
  #hearth: ReturnType<typeof toHearth> | undefined;
  #detach: (() => Promise<void>) | undefined;

  /** @param onEvent called when the subscription or the status has something new */
  constructor(onEvent: () => void) {
    this.#onEvent = onEvent;
  }

  open({ name, base, keys }: DatabasePlace): Promise<void> {
    const database = fireproof(name, { storeUrls: { base }, keyBag: { url: keys } });
    this.#open = database;
    this.#heard.clear();
    database.subscribe((docs) => {
      for (const { _id } of docs) this.#heard.add(_id);
      this.#onEvent();
    }, true);
    return database.ready();
  }

  async attach(place: LedgerPlace): Promise<void> {
    const hearth = toHearth(place);
    this.#hearth = hearth;
    this.#walk.length = 0;
    const note = () => {
      const { state } = hearth.status;
      if (this.#walk.at(-1) !== state) this.#walk.push(state);
      this.#onEvent();
    };
    note();
    hearth.onStatus(note);
    const attached = await this.#database.attach(hearth);
    this.#detach = () => attached.detach();
  }

  async attachStock({ url, token }: StockPlace): Promise<void> {
    // Not at the top: devices in browsers have no use for it.
    const { SimpleTokenStrategy, toCloud } = await import("@fireproof/core-gateways-cloud");
    const strategy = new SimpleTokenStrategy(token);
    await this.#database.attach(toCloud({ urls: { base: url }, strategy }));
  }

  async put({ docs }: { docs: readonly Doc[] }): Promise<void> {
    for (const doc of docs) await this.#database.put(doc);
  }

  async bulk({ ids, bytesEach }: { ids: readonly string[]; bytesEach: number }): Promise<void> {
    await this.#database.bulk(ids.map((_id) => ({ _id, text: textOf(_id, bytesEach) })));
  }

  async remove({ id }: { id: string }): Promise<void> {
    await this.#database.del(id);
  }

  async docs(): Promise<Record<string, Doc>> {
    try {
      const { rows } = await this.#database.allDocs<Doc>();
      return Object.fromEntries(rows.map(({ key, value }) => [key, value]));
    } catch (error) {
      this.addFault(`allDocs() failed: ${error}`);
      throw error;
    }
  }

  heard(): Promise<readonly string[]> {
    return Promise.resolve([...this.#heard].sort());
  }

  async putFiles({ id, files }: { id: string; files: readonly FileOrder[] }): Promise<void> {
    const made = files.map(({ name, bytes }) => [name, makeFile(name, bytesOf(name, bytes))]);
    await this.#database.put({ _id: id, _files: Object.fromEntries(made) });
  }

  async files({ id }: { id: string }): Promise<Record<string, FileFound>> {
    const { _files: files = {} } = await this.#database.get(id);
    const found: Record<string, FileFound> = {};
    for (const [name, entry] of Object.entries(files)) {
      const read = "file" in entry ? await entry.file?.() : undefined;
      if (!read) throw new Error(`Cannot read file "${name}" of "${id}": it has no content here`);
      const bytes = new Uint8Array(await read.arrayBuffer());
      found[name] = { size: bytes.length, type: read.type, digest: await digestOf(bytes) };
    }
    return found;
  }

  compact(): Promise<void> {
    return this.#database.compact();
  }

  flush(): Promise<void> {
    return this.#sync.flush();
  }

  status(): Promise<StatusFound> {
    const { state, pending, error } = this.#sync.status;
    return Promise.resolve({ state, pending, code: error?.code });
  }

  walk(): Promise<readonly string[]> {
    return Promise.resolve([...this.#walk]);
  }

  async detach(): Promise<void> {
    await this.#detach?.();
    this.#detach = undefined;
  }

  async close(): Promise<void> {
    await this.#open?.close();
    this.#open = undefined;
    this.#detach = undefined;
  }

  faults(): Promise<readonly string[]> {
    return Promise.resolve([...this.#faults]);
  }

  /** Notes what went wrong where nobody was there to catch it. */
  addFault(fault: string): void {
    this.#faults.push(fault);
  }

  get #database(): Database {
    if (!this.#open) throw new Error("The device has no open database");
    return this.#open;
  }

  get #sync(): ReturnType<typeof toHearth> {
    if (!this.#hearth) throw new Error("The device was never attached");
    return this.#hearth;
  }
}

function makeFile(name: string, bytes: Uint8Array<ArrayBuffer>): File {
  const file = new File([bytes], name, { type: "application/x-made" });
  // Fireproof tells files by their constructor, which Bun says is Blob.
  if (file.constructor !== File) Object.defineProperty(file, "constructor", { value: File });
  return file;
}
