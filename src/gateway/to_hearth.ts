/** `toHearth()`: what an app hands to `db.attach()`. */

import type { Client, ConnectOptions, Logger } from "../client/client.ts";
import { connect } from "../client/connect.ts";
import { HearthError } from "../protocol/errors.ts";
import { isLedgerId } from "../protocol/model.ts";
import { Attachment } from "./attachment.ts";
import { createStoreUrl } from "./gateway.ts";
import { type Status, StatusHolder } from "./status.ts";

/** Options of {@linkcode toHearth}. */
export interface HearthOptions extends ConnectOptions {
  /** The ledger to share, `tenant/ledger`. */
  readonly ledger: string;
}

/** A connection to Hearth that one Fireproof database can be attached to, again and again. */
export interface Hearth {
  /** Fireproof's name for this remote. */
  readonly name: string;
  /** For Fireproof: where the remote's stores are. */
  prepare(database?: unknown): Promise<HearthStores>;
  /** For Fireproof: tells this remote, and each attaching of it, from others. */
  configHash(database?: unknown): string;
  /** How the sync stands now. */
  readonly status: Status;
  /** Calls back on each change of `status`; returns the function that stops it. */
  onStatus(listener: (status: Status) => void): () => void;
  /**
   * Waits until every local commit made so far is acknowledged by the server, which has it on disk.
   * Offline it waits for the server to come back.
   *
   * @throws {HearthError} `FORBIDDEN`, `UNAUTHENTICATED` and others that tell why the server does
   * not take them; `CLOSED` when no database is attached, or it is detached first
   */
  flush(): Promise<void>;
}

/** Where Fireproof finds the stores of a {@linkcode Hearth}. */
export interface HearthStores {
  /** Blocks of the database. */
  readonly car: { readonly url: string };
  /** Attachments. */
  readonly file: { readonly url: string };
  /** Heads. */
  readonly meta: { readonly url: string };
}

/**
 * Connects a Fireproof database to a ledger on a Hearth server.
 *
 * `db.attach()` resolves online and offline. From then on local commits are sent in the background
 * (never does a `put` wait for the network), commits of other devices are merged as they come, and
 * attachments travel too. Make one for each database.
 *
 * @param options.url base URL of the server
 * @param options.ledger `tenant/ledger`
 * @param options.token a token, or a function that brings one: called before expiry and after a refusal
 * @throws {TypeError} when `url` or `ledger` is not of its form
 *
 * @example
 * ```ts
 * import { fireproof } from "@fireproof/core";
 * import { toHearth } from "@hearth/sync";
 *
 * const db = fireproof("todos");
 * const hearth = toHearth({ url: "http://127.0.0.1:8787", ledger: "acme/todos", token: "…" });
 * await db.attach(hearth);
 * await db.put({ _id: "milk", done: false });
 * await hearth.flush(); // the server has it on disk
 * ```
 */
export function toHearth(options: HearthOptions): Hearth {
  const { ledger, url, signal } = options;
  if (!isLedgerId(ledger)) {
    throw new TypeError(`Cannot connect to ledger "${ledger}": it is no tenant/ledger`);
  }
  if (!/^https?:$/.test(new URL(url).protocol)) {
    throw new TypeError(`Cannot connect to "${url}": it is no http or https URL`);
  }
  const logger = options.logger ?? silent;
  const status = new StatusHolder(Date.now);
  const id = crypto.randomUUID();
  let database: unknown;
  let attachment: Attachment | undefined;
  let generation = 0;

  function open(loader: ConstructorParameters<typeof Attachment>[0]["loader"]): Attachment {
    const client: Client = connect(options);
    const opened = new Attachment({
      ledger,
      loader,
      client,
      logger,
      onChange: () => {
        if (attachment !== opened) return;
        status.update(opened.status);
      },
    });
    attachment = opened;
    // Fireproof keeps one attachment per hash for ever: the next one needs another.
    opened.ended.addEventListener("abort", () => generation++, { once: true });
    signal?.addEventListener("abort", () => void opened.close(), {
      once: true,
      signal: opened.ended,
    });
    status.update(opened.status);
    return opened;
  }

  return {
    name: "toHearth",
    prepare(of) {
      if (attachment && !attachment.ended.aborted && database !== of) {
        throw new TypeError(
          `Cannot attach "${ledger}": this toHearth() serves another database; make one for each`,
        );
      }
      database = of;
      const stores = { url: createStoreUrl(open) };
      return Promise.resolve({ car: stores, file: stores, meta: stores });
    },
    configHash: () => `${id}:${generation}`,
    get status() {
      return status.value;
    },
    onStatus: (listener) => status.listen(listener),
    async flush() {
      if (!attachment || attachment.ended.aborted) {
        throw new HearthError("CLOSED", `Cannot flush "${ledger}": no database is attached`);
      }
      await attachment.flush();
    },
  };
}

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };
