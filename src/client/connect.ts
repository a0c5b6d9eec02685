/** Makes a client: the one place where its parts come together. */

import { HearthError } from "../protocol/errors.ts";
import { Blobs } from "./blobs.ts";
import { Calls } from "./calls.ts";
import type { Client, ConnectOptions } from "./client.ts";
import { Connection } from "./connection.ts";
import { type ClientDeps, createDeps } from "./deps.ts";
import { Subscriptions } from "./subscriptions.ts";
import { createTokenKeeper } from "./token.ts";

/**
 * Connects to a Hearth server. It returns at once and connects behind; calls wait for the link.
 *
 * @example A commit, and a watch
 * ```ts ignore
 * import { connect } from "@hearth/sync/client";
 *
 * await using client = connect({ url: "http://127.0.0.1:8787", token });
 * client.watch("acme/todos", { onChanges: (changes) => console.log(changes.metas) });
 * await client.commit({ ledger: "acme/todos", metas: [meta], blobs: [blob] });
 * ```
 *
 * @param options where the server is, and who is calling
 * @throws {TypeError} when `url` is no `http:` or `https:` URL
 */
export function connect(options: ConnectOptions): Client {
  return createClient(options, createDeps(options.url));
}

/** Makes a client in a world of its own. */
export function createClient(options: ConnectOptions, deps: ClientDeps): Client {
  const { token, transport = "auto", signal, logger, url: baseUrl } = options;
  const { clock, random } = deps;
  let epoch: string | undefined;
  const subscriptions = new Subscriptions({
    clock,
    random,
    refuse: (link, error) => connection.refuse(link, error),
  });
  const connection = new Connection({
    transport,
    tokens: createTokenKeeper(token, clock),
    deps,
    logger,
    onNotice: (notice) => subscriptions.onNotice(notice),
    onLink: (link, suspect) => {
      epoch = link?.session.epoch ?? epoch;
      subscriptions.setLink(link, suspect);
    },
  });
  const calls = new Calls({ connection, clock, random });
  const blobs = new Blobs({ connection, calls, deps, baseUrl, logger });

  const close = (): Promise<void> => {
    signal?.removeEventListener("abort", close);
    connection.close();
    return Promise.resolve();
  };
  if (signal?.aborted) void close();
  else connection.start();
  signal?.addEventListener("abort", close, { once: true });

  return {
    get status() {
      return connection.status;
    },
    get epoch() {
      return epoch;
    },
    onStatus: (listener) => connection.onStatus(listener),
    call: (method, params, options) =>
      method === "tell" ? calls.once(method, params, options) : calls.call(method, params, options),
    commit: (commit, options) => blobs.commit(commit, options),
    missing: (ledger, refs, options) => blobs.missing(ledger, refs, options),
    listBlobs: (ledger, store, options) => blobs.list(ledger, store, options),
    getBlobs: (ledger, refs, onBlob, options) => blobs.get(ledger, refs, onBlob, options),
    watch(ledger, events, options) {
      if (connection.signal.aborted) {
        throw new HearthError("CLOSED", `Cannot watch "${ledger}": the client was closed`);
      }
      return subscriptions.watch(ledger, events, options);
    },
    tell: async (ledger, body, options) => {
      await calls.once("tell", { ledger, body }, options);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
