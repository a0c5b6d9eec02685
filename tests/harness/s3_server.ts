/** A real S3 server, made by others, as a process of its own: npm `s3rver`. */

import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startChild } from "./child.ts";
import { freePort } from "./ports.ts";
import { findRuntime } from "./runtimes.ts";
import { s3Program } from "./s3_program.ts";
import { makeTempFolder } from "./temp_folder.ts";

/** The account that it knows. */
export const account = { accessKeyId: "S3RVER", secretAccessKey: "S3RVER" };

/**
 * A running server. It knows a bucket of the given name and looks at neither version 4 signatures,
 * nor checksums, nor `If-None-Match`; uploads in parts cannot be aborted (it answers 405).
 */
export interface S3Server extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  /** Where the objects of the bucket lie. */
  readonly directory: string;
}

const main = fileURLToPath(new URL("s3_server_main.ts", import.meta.url));

/** Says what the machine lacks for a test with S3; nothing when it has all. */
export function lackOfS3(): string | undefined {
  if (!findRuntime("node")) return "there is no node";
  return existsSync(s3Program)
    ? undefined
    : "s3rver is not installed in .ci/tools: run npm install --prefix .ci/tools";
}

/** Options of {@linkcode startS3Server}. */
export interface S3ServerOptions {
  /** The bucket's rules for pages of other origins, as XML. @default there are none */
  readonly cors?: string | undefined;
}

/** Starts a server with one empty bucket. */
export async function startS3Server(
  bucket: string,
  { cors }: S3ServerOptions = {},
): Promise<S3Server> {
  const node = findRuntime("node");
  if (!node || lackOfS3() !== undefined) throw new Error(`Cannot start S3: ${lackOfS3()}`);
  await using started = new AsyncDisposableStack();
  const folder = started.use(await makeTempFolder());
  const port = await freePort();
  const listening = Promise.withResolvers<void>();
  const args = ["--directory", folder.path, "--address", "127.0.0.1", "--port", String(port)];
  const configs = cors === undefined ? [] : [join(folder.path, "cors.xml")];
  for (const config of configs) await writeFile(config, cors ?? "");
  const child = startChild(
    node.command,
    [main, ...args, "--no-vhost-buckets", "--silent", "--configure-bucket", bucket, ...configs],
    { onLine: (line) => line.startsWith("S3rver listening") && listening.resolve() },
  );
  started.defer(async () => void await child.end("SIGKILL"));
  const ended = child.ended.then(({ code }) => {
    throw new Error(`Cannot start S3: it ended with ${code}: ${child.lines.join("\n")}`);
  });
  ended.catch(() => {}); // It is to end, later.
  await Promise.race([listening.promise, ended]);
  const ends = started.move();
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    directory: join(folder.path, bucket),
    [Symbol.asyncDispose]: () => ends.disposeAsync(),
  };
}
