/** Where the S3 server of the tests is, once it is installed. */

import { fileURLToPath } from "node:url";

/** The program of npm `s3rver`. */
export const s3Program: string = fileURLToPath(
  new URL("../../.ci/tools/node_modules/s3rver/bin/s3rver.js", import.meta.url),
);
