/**
 * Starts s3rver so that it answers when what it was sent is written. By itself it answers when it
 * has read it, and whoever asks at once may find an object that is empty, or is not there, which
 * S3 never tells.
 */

import { AsyncLocalStorage } from "node:async_hooks";
import type { WriteStream } from "node:fs";
import { createRequire } from "node:module";
import { s3Program } from "./s3_program.ts";

const load = createRequire(s3Program);
const files = load("fs-extra");
const { prototype: store } = load("../lib/stores/filesystem.js");

/** The files that one request writes. */
const written = new AsyncLocalStorage<Promise<void>[]>();

const createWriteStream: (...args: unknown[]) => WriteStream = files.createWriteStream;
files.createWriteStream = (...args: unknown[]) => {
  const stream = createWriteStream(...args);
  written.getStore()?.push(new Promise((resolve) => stream.once("close", resolve)));
  return stream;
};

for (const method of ["putObject", "putPart"]) {
  const put: (...args: unknown[]) => Promise<unknown> = store[method];
  store[method] = function (...args: unknown[]) {
    const all: Promise<void>[] = [];
    return written.run(all, async () => {
      const result = await put.apply(this, args);
      await Promise.all(all);
      return result;
    });
  };
}

load(s3Program);
