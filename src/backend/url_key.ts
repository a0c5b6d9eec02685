/** The key of signed URLs: what is signed are fields, each with its length. */

import { Buffer } from "node:buffer";
import { createHmac, hkdfSync, timingSafeEqual } from "node:crypto";

/** Signs lists of fields: no two lists share a signature, whatever the fields contain. */
export class UrlKey {
  readonly #key: Buffer;

  /** @param purpose the key is derived for it, so that the secret signs nothing but what it is for */
  constructor(secret: Uint8Array, purpose: string) {
    this.#key = Buffer.from(hkdfSync("sha256", secret, "", purpose, 32));
  }

  /** The signature, 43 characters of base64url. */
  sign(fields: readonly string[]): string {
    return this.#mac(fields).toString("base64url");
  }

  /** Whether a signature is that of the fields; how long it takes to tell says nothing. */
  matches(fields: readonly string[], signature: string): boolean {
    const given = Buffer.from(signature, "base64url");
    const wanted = this.#mac(fields);
    return given.length === wanted.length && timingSafeEqual(given, wanted);
  }

  #mac(fields: readonly string[]): Buffer {
    const mac = createHmac("sha256", this.#key);
    for (const field of fields) {
      const bytes = Buffer.from(field);
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.length);
      mac.update(length).update(bytes);
    }
    return mac.digest();
  }
}
