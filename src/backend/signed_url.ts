/**
 * URLs that stand for one operation on one blob. What is signed are the fields, each with its
 * length, never the path: no two operations share a signature, whatever their names contain.
 */

import { Buffer } from "node:buffer";
import * as v from "valibot";
import { HearthError } from "../protocol/errors.ts";
import { cidSchema, ledgerSchema, storeSchema } from "../protocol/model.ts";
import { paths } from "../protocol/version.ts";
import type { BlobKey } from "./stores/blob_store.ts";
import { UrlKey } from "./url_key.ts";

/** What a URL allows. */
export interface BlobGrant {
  readonly method: "GET" | "PUT";
  readonly key: BlobKey;
  /** Epoch ms, whole seconds. */
  readonly expiresAt: number;
}

/** How long a URL lives (G13). */
export const urlLifeMs = 15 * 60 * 1000;

const schema = v.strictObject({
  ledger: ledgerSchema,
  store: storeSchema,
  cid: cidSchema,
  digest: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
  size: v.pipe(v.string(), v.regex(/^(0|[1-9]\d{0,14})$/)),
  expires: v.pipe(v.string(), v.regex(/^[1-9]\d{0,11}$/)),
  signature: v.pipe(v.string(), v.regex(/^[\w-]{43}$/)),
});

type Fields = v.InferOutput<typeof schema>;

/** Makes and checks signed URLs. */
export class UrlSigner {
  readonly #key: UrlKey;

  constructor(secret: Uint8Array) {
    this.#key = new UrlKey(secret, "hearth blob url v1");
  }

  /** Writes a URL below the server's base URL. */
  sign(baseUrl: string, { method, key, expiresAt }: BlobGrant): string {
    const unsigned = {
      ledger: key.ledger,
      store: key.store,
      cid: key.cid,
      digest: Buffer.from(key.digest).toString("hex"),
      size: String(key.size),
      expires: String(Math.floor(expiresAt / 1000)),
    };
    const signature = this.#key.sign(toSigned(method, unsigned));
    return baseUrl.replace(/\/+$/, "") + toTarget({ ...unsigned, signature });
  }

  /**
   * Reads a URL's path and query.
   *
   * @throws {HearthError} `FORBIDDEN`, with one message whatever is wrong with it
   */
  check(method: string, url: URL, now: number): BlobGrant {
    const fields = parseTarget(url);
    if (fields && (method === "GET" || method === "PUT")) {
      const { ledger, store, cid, digest, size, expires, signature } = fields;
      const expiresAt = Number(expires) * 1000;
      if (this.#key.matches(toSigned(method, fields), signature) && now < expiresAt) {
        const key = {
          ledger,
          store,
          cid,
          digest: new Uint8Array(Buffer.from(digest, "hex")),
          size: Number(size),
        };
        return { method, key, expiresAt };
      }
    }
    throw new HearthError("FORBIDDEN", "Cannot serve the blob: the URL is not valid, or no longer");
  }
}

function toSigned(
  method: string,
  { ledger, store, cid, digest, size, expires }: Omit<Fields, "signature">,
): readonly string[] {
  return [method, ledger, store, cid, digest, size, expires];
}

function toTarget({ ledger, store, cid, digest, size, expires, signature }: Fields): string {
  const query = new URLSearchParams({ digest, size, expires, signature });
  return `${paths.blobs}/${ledger}/${store}/${cid}?${query}`;
}

/**
 * Reads the fields and writes them again: only the one spelling that this server writes is taken,
 * so escapes, repeated or further parameters never come to be interpreted.
 */
function parseTarget(url: URL): Fields | undefined {
  const [tenant, ledger, store, cid] = url.pathname.slice(paths.blobs.length + 1).split("/");
  const parsed = v.safeParse(schema, {
    ...Object.fromEntries(url.searchParams),
    ledger: `${tenant}/${ledger}`,
    store,
    cid,
  }, { abortEarly: true });
  if (!parsed.success) return undefined;
  return toTarget(parsed.output) === url.pathname + url.search ? parsed.output : undefined;
}
