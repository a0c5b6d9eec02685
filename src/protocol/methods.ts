/** THE table: what a client may ask, who may ask it, over which transport, and the form of both ways. */

import * as v from "valibot";
import type { MethodTable } from "./method_table.ts";
import { maxKeys, maxListItems, maxTellBytes, maxWaitMs, maxWalBytes } from "./limits.ts";
import {
  blobAnswerSchema,
  blobListingSchema,
  blobRefSchema,
  blobUploadSchema,
  bytesSchema,
  bytesUpTo,
  changesSchema,
  cidSchema,
  countSchema,
  cursorSchema,
  type Deep,
  digestSchema,
  directRequestSchema,
  keySchema,
  ledgerChangesSchema,
  ledgerSchema,
  limitsSchema,
  listOf,
  metaSchema,
  type Right,
  type Same,
  storeSchema,
  tokenSchema,
} from "./model.ts";

/** The right a call needs on `params.ledger`; `none` when it concerns the session alone. */
export type Access = "none" | Exclude<Right, "admin">;

const nothing = v.strictObject({});
const recordName = v.pipe(v.string(), v.regex(/^[\w.:-]{1,128}$/, "is no record name"));

/** One row a method. Types, parsing, permission, dispatch and the typed call derive from the row. */
export const methods = {
  /** Opens the session: the first frame on a socket, within 5 s. */
  hello: {
    access: "none",
    over: "any",
    params: v.strictObject({
      version: countSchema,
      token: v.optional(tokenSchema),
      client: v.optional(v.pipe(v.string(), v.maxLength(128))),
    }),
    result: v.strictObject({
      version: countSchema,
      session: v.string(),
      server: v.string(),
      epoch: v.string(),
      heartbeatMs: countSchema,
      /** When the token ends, epoch ms. */
      expiresAt: countSchema,
      limits: limitsSchema,
    }),
  },
  /** Brings a fresh token of the same subject to a live connection. */
  auth: {
    access: "none",
    over: "websocket",
    params: v.strictObject({ token: tokenSchema }),
    result: v.strictObject({ expiresAt: countSchema }),
  },
  /** Blobs, metas and keys in one atomic, idempotent, durable step. */
  commit: {
    access: "write",
    over: "any",
    params: v.strictObject({
      ledger: ledgerSchema,
      blobs: listOf(blobUploadSchema),
      metas: listOf(metaSchema),
      keys: listOf(keySchema, maxKeys),
      supersedes: listOf(cidSchema),
      retires: listOf(blobRefSchema),
    }),
    result: v.strictObject({ cursor: cursorSchema }),
  },
  /** Which of these blobs the ledger does not have. */
  missing: {
    access: "read",
    over: "any",
    params: v.strictObject({ ledger: ledgerSchema, blobs: listOf(blobRefSchema) }),
    result: v.strictObject({ blobs: v.array(blobRefSchema) }),
  },
  /** Several blobs at once: bytes up to the inline budget, then signed URLs. */
  getBlobs: {
    access: "read",
    over: "any",
    params: v.strictObject({
      ledger: ledgerSchema,
      blobs: listOf(blobRefSchema),
      inlineBytes: v.optional(countSchema),
    }),
    result: v.strictObject({ blobs: v.array(blobAnswerSchema), missing: v.array(blobRefSchema) }),
  },
  /** All blobs of one store, retired ones included, newest first, a page at a time. */
  listBlobs: {
    access: "read",
    over: "any",
    params: v.strictObject({
      ledger: ledgerSchema,
      store: storeSchema,
      before: v.optional(cidSchema),
      limit: v.optional(
        v.pipe(countSchema, v.minValue(1), v.maxValue(maxListItems)),
        maxListItems,
      ),
    }),
    result: v.strictObject({ blobs: v.array(blobListingSchema), more: v.boolean() }),
  },
  /** A URL to get or put one blob without this connection; a PUT needs the right to write. */
  signUrl: {
    access: (params: { readonly method: "GET" | "PUT" }): Access =>
      params.method === "PUT" ? "write" : "read",
    over: "any",
    params: v.pipe(
      v.strictObject({
        ledger: ledgerSchema,
        method: v.picklist(["GET", "PUT"]),
        store: storeSchema,
        cid: cidSchema,
        digest: v.optional(digestSchema),
        size: v.optional(countSchema),
      }),
      v.check(
        (it) => it.method === "GET" || (it.digest !== undefined && it.size !== undefined),
        "a PUT needs `digest` and `size`",
      ),
    ),
    result: v.strictObject({
      url: v.string(),
      expiresAt: countSchema,
      direct: v.optional(directRequestSchema),
    }),
  },
  /** Everything after the cursor (the heads without one), then `metas` notifications in order. */
  watch: {
    access: "read",
    over: "websocket",
    params: v.strictObject({
      ledger: ledgerSchema,
      cursor: v.optional(cursorSchema),
      inventory: v.optional(v.boolean(), false),
    }),
    result: changesSchema,
  },
  /** Ends a watch. */
  unwatch: {
    access: "read",
    over: "websocket",
    params: v.strictObject({ ledger: ledgerSchema }),
    result: nothing,
  },
  /** The same as `watch` for HTTP: answers at once if there is something, else waits. */
  poll: {
    access: "read",
    over: "http",
    params: v.strictObject({
      ledger: ledgerSchema,
      cursor: v.optional(cursorSchema),
      inventory: v.optional(v.boolean(), false),
      waitMs: v.optional(v.pipe(countSchema, v.maxValue(maxWaitMs)), 0),
    }),
    result: v.strictObject({
      changes: changesSchema,
      told: v.array(v.strictObject({ from: v.string(), body: bytesSchema })),
    }),
  },
  /** Takes metas out of the heads; readers are told the resulting heads. */
  delMeta: {
    access: "write",
    over: "any",
    params: v.strictObject({ ledger: ledgerSchema, metas: listOf(cidSchema) }),
    result: v.strictObject({ cursor: cursorSchema }),
  },
  /** Reads a record of the caller's own; version 0 and no bytes when there is none. */
  getWal: {
    access: "write",
    over: "any",
    params: v.strictObject({ ledger: ledgerSchema, name: recordName }),
    result: v.strictObject({ version: countSchema, bytes: v.nullable(bytesSchema) }),
  },
  /** Writes a record if it is still at `version` (0: does not exist yet). */
  putWal: {
    access: "write",
    over: "any",
    params: v.strictObject({
      ledger: ledgerSchema,
      name: recordName,
      version: countSchema,
      bytes: bytesUpTo(maxWalBytes),
    }),
    result: v.strictObject({ version: countSchema }),
  },
  /** Removes a record if it is still at `version`. */
  delWal: {
    access: "write",
    over: "any",
    params: v.strictObject({ ledger: ledgerSchema, name: recordName, version: countSchema }),
    result: nothing,
  },
  /** An ephemeral message to the ledger's other watchers; kept nowhere. */
  tell: {
    access: "write",
    over: "any",
    params: v.strictObject({ ledger: ledgerSchema, body: bytesUpTo(maxTellBytes) }),
    result: nothing,
  },
} as const;

/** What either side may send without being asked. */
export const notifications = {
  /** Server: what happened in a watched ledger. */
  metas: ledgerChangesSchema,
  /** Server: an ephemeral message of another watcher. */
  told: v.strictObject({ ledger: ledgerSchema, from: v.string(), body: bytesSchema }),
  /** Server, before it closes: come back after `resumeAfterMs`, spread over clients. */
  closing: v.strictObject({ resumeAfterMs: countSchema }),
  /** Server, before it closes for bad input that belongs to no request. */
  error: v.strictObject({ code: v.string(), message: v.string() }),
  /** Either side: are you there? Answered by `pong` at once, ahead of everything waiting. */
  ping: nothing,
  /** Either side: I am. */
  pong: nothing,
} as const;

/** Name of a method. */
export type MethodName = keyof typeof methods;
/** Parsed parameters of a method, as its handler sees them. */
export type Params<M extends MethodName> = v.InferOutput<(typeof methods)[M]["params"]>;
/** Parameters of a method, as its caller writes them. */
export type ParamsIn<M extends MethodName> = v.InferInput<(typeof methods)[M]["params"]>;
/** Result of a method. */
export type Result<M extends MethodName> = v.InferOutput<(typeof methods)[M]["result"]>;
/** Name of a notification. */
export type NotificationName = keyof typeof notifications;
/** Body of a notification. */
export type Notice<N extends NotificationName> = v.InferOutput<(typeof notifications)[N]>;

/** Whether a text names a method. */
export function isMethodName(name: string): name is MethodName {
  return Object.hasOwn(methods, name);
}

/** Whether a text names a notification. */
export function isNotificationName(name: string): name is NotificationName {
  return Object.hasOwn(notifications, name);
}

/** Refuses, at compile time, a row and its public interface that drifted apart. */
type Rows = {
  readonly [M in MethodName]: {
    /** The schema takes all that the interface allows, field by field. */
    readonly params: [Deep<MethodTable[M]["params"]>] extends [Deep<ParamsIn<M>>]
      ? Same<keyof MethodTable[M]["params"], keyof ParamsIn<M>>
      : false;
    readonly result: Same<Deep<MethodTable[M]["result"]>, Deep<Result<M>>>;
  };
};

true satisfies Same<keyof MethodTable, MethodName>;
true satisfies Same<Rows[MethodName]["params"], true>;
true satisfies Same<Rows[MethodName]["result"], true>;
