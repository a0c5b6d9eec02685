/**
 * Sync for Fireproof databases through a Hearth server: attach `toHearth()` to a database, or use
 * the plain client by `connect()`.
 *
 * @example
 * ```ts
 * import { fireproof } from "@fireproof/core";
 * import { toHearth } from "@hearth/sync";
 *
 * const db = fireproof("todos");
 * await db.attach(toHearth({ url: "http://127.0.0.1:8787", ledger: "acme/todos", token: "…" }));
 * ```
 *
 * @module
 */

export * from "./src/client/mod.ts";
export {
  type Hearth,
  type HearthOptions,
  type HearthStores,
  toHearth,
} from "./src/gateway/to_hearth.ts";
export type { Status } from "./src/gateway/status.ts";
