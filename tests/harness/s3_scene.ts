/** An S3 server with the strict gate in front of it, and what the tests on it share. */

import { after, test } from "node:test";
import type { DirectBlobStore } from "../../src/backend/stores/direct_blob_store.ts";
import { openS3 } from "../../src/backend/stores/s3.ts";
import type { S3Options } from "../../src/backend/stores/s3_options.ts";
import { requirement } from "../require.ts";
import { type Fault, type S3Gate, startS3Gate } from "./s3_gate.ts";
import { account, lackOfS3, type S3Server, startS3Server } from "./s3_server.ts";

/** Where the tests of one file store blobs. */
export interface S3Scene {
  readonly server: S3Server;
  readonly gate: S3Gate;
  /** A place of its own in the bucket `hearth`, through the gate. */
  place(): S3Options;
  /** A store at such a place; the gate passes everything again, and pauses are as short as can be. */
  open(options?: Partial<S3Options>): Promise<DirectBlobStore>;
}

/** Declares tests on S3; one that is skipped where the machine has none. */
export async function declareOnS3(name: string, declare: (scene: S3Scene) => void): Promise<void> {
  const skip = requirement("s3", lackOfS3);
  if (skip) return void test(name, { skip }, () => {});
  const bucket = "hearth";
  const server = await startS3Server(bucket);
  after(() => server[Symbol.asyncDispose]());
  const gate = await startS3Gate({ target: server.port, ...account });
  after(() => gate[Symbol.asyncDispose]());
  let count = 0;
  const place = (): S3Options => ({
    endpoint: gate.url,
    region: "us-east-1",
    bucket,
    prefix: `new prefix+(${count++})/ü`,
    ...account,
  });
  declare({
    server,
    gate,
    place,
    async open(options) {
      gate.set(() => undefined);
      const store = await openS3({ ...place(), random: () => 0, ...options });
      gate.forget();
      return store;
    },
  });
}

/** A blob in three parts of {@linkcode smallParts}. */
export const large: Uint8Array = Uint8Array.from({ length: 250_000 }, (_, at) => at % 253);
/** Smaller than S3 itself allows. */
export const smallParts = { partBytes: 100_000, allowSmallParts: true } as const;

/** An answer with this status, and S3's own name of the fault. */
export function statusFault(status: number, code?: string, headers = {}): Fault {
  return { kind: "status", status, ...(code !== undefined && { code }), headers };
}
