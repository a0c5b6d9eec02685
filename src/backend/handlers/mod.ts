/** All handlers, one a row of the table. */

import type { Handlers } from "../handler.ts";
import { commit } from "./commit.ts";
import { delMeta } from "./del_meta.ts";
import { getBlobs } from "./get_blobs.ts";
import { auth, hello } from "./hello.ts";
import { listBlobs } from "./list_blobs.ts";
import { missing } from "./missing.ts";
import { poll } from "./poll.ts";
import { signUrl } from "./sign_url.ts";
import { tell } from "./tell.ts";
import { delWal, getWal, putWal } from "./wal.ts";
import { unwatch, watch } from "./watch.ts";

/** The compiler counts them. */
export const handlers: Handlers = {
  hello,
  auth,
  commit,
  missing,
  getBlobs,
  listBlobs,
  signUrl,
  watch,
  unwatch,
  poll,
  delMeta,
  getWal,
  putWal,
  delWal,
  tell,
};
