/** THE table of the stock client's protocol: form, right, handler and answer of each message. */

import * as v from "valibot";
import { maxKeyLength } from "../../protocol/limits.ts";
import { bind } from "./handlers/bind.ts";
import { chat } from "./handlers/chat.ts";
import { close, gestalt, open } from "./handlers/connect.ts";
import { delMeta, putMeta } from "./handlers/meta.ts";
import { signData, signWal } from "./handlers/sign.ts";
import type { Call } from "./call.ts";
import { metaAndKeysSchema } from "./metas.ts";

/** Who may send a message: anybody, whoever has a token, or whoever has this right on its ledger. */
export type Access = "none" | "token" | "read" | "write";

/** What the table says of one message. */
export interface Row<
  S extends v.GenericSchema<unknown, object> = v.GenericSchema<unknown, object>,
> {
  readonly access: Access;
  readonly schema: S;
  /** Type of the answer. */
  readonly answer: string;
  /** Fields of the answer besides those that each has. */
  readonly handle: (call: Call, message: v.InferOutput<S>) => object | Promise<object>;
}

const name = v.pipe(v.string(), v.minLength(1), v.maxLength(256));
const conn = v.object({ reqId: name, resId: name });

/** What each message has. Further fields are of no concern to us. */
export const baseSchema = v.object({
  tid: v.pipe(v.string(), v.minLength(1), v.maxLength(256)),
  type: v.string(),
  // The client sends the second with what concerns stores.
  version: v.picklist(["FP-MSG-1.0", "v0.1-fp-cloud"]),
  auth: v.optional(v.looseObject({ type: v.pipe(v.string(), v.maxLength(64)) })),
  tenant: v.optional(v.looseObject({ tenant: v.string(), ledger: v.string() })),
});

const urlParam = v.looseObject({
  key: v.pipe(v.string(), v.minLength(1), v.maxLength(maxKeyLength)),
});
const methodParam = v.optional(v.looseObject({
  method: v.picklist(["GET", "PUT", "DELETE"]),
  store: v.picklist(["car", "file", "meta", "wal"]),
}));
const dataSchema = v.object({
  conn,
  urlParam,
  methodParam: v.looseObject({
    method: v.picklist(["GET", "PUT", "DELETE"]),
    store: v.picklist(["car", "file"]),
  }),
});
const walSchema = v.object({ conn, urlParam, methodParam });

/** All messages, by `type`. */
export const messages: ReadonlyMap<string, Row> = new Map(Object.entries({
  reqGestalt: row({ access: "none", schema: v.object({}), answer: "resGestalt", handle: gestalt }),
  reqOpen: row({
    access: "token",
    schema: v.object({ conn: v.object({ reqId: name, resId: v.optional(name) }) }),
    answer: "resOpen",
    handle: open,
  }),
  reqClose: row({ access: "token", schema: v.object({ conn }), answer: "resClose", handle: close }),
  reqChat: row({
    access: "token",
    schema: v.object({ conn, message: v.pipe(v.string(), v.maxLength(4096)) }),
    answer: "resChat",
    handle: chat,
  }),
  reqGetData: row({
    access: "read",
    schema: dataSchema,
    answer: "resGetData",
    handle: signData("GET"),
  }),
  reqPutData: row({
    access: "write",
    schema: dataSchema,
    answer: "resPutData",
    handle: signData("PUT"),
  }),
  reqDelData: row({
    access: "write",
    schema: dataSchema,
    answer: "resDelData",
    handle: signData("DELETE"),
  }),
  reqGetWAL: row({
    access: "write",
    schema: walSchema,
    answer: "resGetWAL",
    handle: signWal("GET"),
  }),
  reqPutWAL: row({
    access: "write",
    schema: walSchema,
    answer: "resPutWAL",
    handle: signWal("PUT"),
  }),
  reqDelWAL: row({
    access: "write",
    schema: walSchema,
    answer: "resDelWAL",
    handle: signWal("DELETE"),
  }),
  bindGetMeta: row({
    access: "read",
    schema: v.object({ conn, urlParam, methodParam }),
    answer: "eventGetMeta",
    handle: bind,
  }),
  reqPutMeta: row({
    access: "write",
    schema: v.object({ conn, urlParam, methodParam, meta: metaAndKeysSchema }),
    answer: "resPutMeta",
    handle: putMeta,
  }),
  reqDelMeta: row({
    access: "write",
    schema: v.object({
      conn,
      urlParam,
      meta: v.optional(v.object({ metas: metaAndKeysSchema.entries.metas })),
    }),
    answer: "resDelMeta",
    handle: delMeta,
  }),
}));

/** Lets the compiler compare a row's schema with its handler; the table then forgets which is which. */
function row<const S extends v.GenericSchema<unknown, object>>(row: Row<S>): Row {
  // A handler gets what its own schema has made: `dispatch` parses by the same row.
  return row as unknown as Row;
}
