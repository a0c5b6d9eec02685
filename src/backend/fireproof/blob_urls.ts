/** Signed URLs of this door: one operation on one thing, by a name that only a CID can be. */

import * as v from "valibot";
import { HearthError } from "../../protocol/errors.ts";
import { cidSchema, ledgerSchema } from "../../protocol/model.ts";
import type { LedgerId } from "../stores/meta_store.ts";
import { UrlKey } from "../url_key.ts";
import { paths } from "./paths.ts";

const methodSchema = v.picklist(["GET", "PUT", "DELETE"]);
const storeSchema = v.picklist(["car", "file", "wal"]);

/** What can be done with a URL. */
export type UrlMethod = v.InferOutput<typeof methodSchema>;
/** Where what it names lies. */
export type UrlStore = v.InferOutput<typeof storeSchema>;

/** What a URL allows. */
export interface UrlGrant {
  readonly method: UrlMethod;
  readonly ledger: LedgerId;
  readonly store: UrlStore;
  readonly cid: string;
  /** Whose record it is; empty but for the store `wal`. */
  readonly owner: string;
  /** Epoch ms, whole seconds. */
  readonly expiresAt: number;
}

const schema = v.strictObject({
  ledger: ledgerSchema,
  store: storeSchema,
  cid: cidSchema,
  owner: v.pipe(v.string(), v.maxLength(256)),
  expires: v.pipe(v.string(), v.regex(/^[1-9]\d{0,11}$/)),
  signature: v.pipe(v.string(), v.regex(/^[\w-]{43}$/)),
});
type Fields = v.InferOutput<typeof schema>;

/** Makes and checks the URLs. */
export class FireproofUrls {
  readonly #key: UrlKey;

  constructor(secret: Uint8Array) {
    this.#key = new UrlKey(secret, "hearth fireproof url v1");
  }

  /** Writes a URL below the server's base URL. */
  sign(baseUrl: string, { method, ledger, store, cid, owner, expiresAt }: UrlGrant): string {
    const expires = String(Math.floor(expiresAt / 1000));
    const unsigned = { ledger, store, cid, owner, expires };
    const signature = this.#key.sign(toSigned(method, unsigned));
    return baseUrl.replace(/\/+$/, "") + toTarget({ ...unsigned, signature });
  }

  /**
   * Reads a URL's path and query.
   *
   * @throws {HearthError} `FORBIDDEN`, with one message whatever is wrong with it
   */
  check(given: string, url: URL, now: number): UrlGrant {
    const method = v.safeParse(methodSchema, given);
    const fields = parseTarget(url);
    if (fields && method.success) {
      const { ledger, store, cid, owner, expires, signature } = fields;
      const expiresAt = Number(expires) * 1000;
      if (this.#key.matches(toSigned(method.output, fields), signature) && now < expiresAt) {
        return { method: method.output, ledger, store, cid, owner, expiresAt };
      }
    }
    throw new HearthError("FORBIDDEN", "Cannot serve the blob: the URL is not valid, or no longer");
  }
}

function toSigned(
  method: UrlMethod,
  { ledger, store, cid, owner, expires }: Omit<Fields, "signature">,
): readonly string[] {
  return [method, ledger, store, cid, owner, expires];
}

function toTarget({ ledger, store, cid, owner, expires, signature }: Fields): string {
  const query = new URLSearchParams({ owner, expires, signature });
  return `${paths.blobs}/${ledger}/${store}/${cid}?${query}`;
}

/** Only the one spelling that this server writes is taken, as with its other URLs. */
function parseTarget(url: URL): Fields | undefined {
  const [tenant, ledger, store, cid] = url.pathname.slice(paths.blobs.length + 1).split("/");
  const fields = {
    ...Object.fromEntries(url.searchParams),
    ledger: `${tenant}/${ledger}`,
    store,
    cid,
  };
  const parsed = v.safeParse(schema, fields, { abortEarly: true });
  if (!parsed.success) return undefined;
  return toTarget(parsed.output) === url.pathname + url.search ? parsed.output : undefined;
}
