/** A server whose blobs lie in a bucket that devices reach themselves, by a gate that sees all. */

import { type S3Gate, startS3Gate } from "./s3_gate.ts";
import { account, startS3Server } from "./s3_server.ts";
import { type ServerProcess, startServer } from "./server_process.ts";

const bucket = "hearth-test";

/** Options of {@linkcode startDirectServer}. */
export interface DirectServerOptions {
  /** Where devices are told that S3 is. @default where it is */
  readonly clientEndpoint?: string;
  /** The bucket's rules for pages of other origins, as XML. @default there are none */
  readonly cors?: string;
}

/** What {@linkcode startDirectServer} starts. */
export interface DirectServer extends AsyncDisposable {
  readonly server: ServerProcess;
  /** Between all and the bucket; it has forgotten the start of the server. */
  readonly gate: S3Gate;
}

/** Starts S3, the gate and the server. */
export async function startDirectServer(
  { clientEndpoint = "true", cors }: DirectServerOptions = {},
): Promise<DirectServer> {
  await using started = new AsyncDisposableStack();
  const s3 = started.use(await startS3Server(bucket, { cors }));
  const gate = started.use(await startS3Gate({ target: s3.port, ...account }));
  const query = `endpoint=${gate.url}&region=eu-1&direct=${clientEndpoint}`;
  const server = started.use(
    await startServer({
      env: {
        HEARTH_BLOBS: `s3://${bucket}/blobs?${query}`,
        AWS_ACCESS_KEY_ID: account.accessKeyId,
        AWS_SECRET_ACCESS_KEY: account.secretAccessKey,
      },
    }),
  );
  gate.forget();
  const ends = started.move();
  return { server, gate, [Symbol.asyncDispose]: () => ends.disposeAsync() };
}
