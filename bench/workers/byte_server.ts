/** The reference of reading: a bare HTTP server that answers every GET with the same bytes. */

import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { serveCalls } from "../harness/worker.ts";

const calls = {
  listen: async ({ bytes }: { readonly bytes: number }): Promise<string> => {
    const body = randomBytes(bytes);
    const http = createServer((_, response) => response.end(body));
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    // A server that listens on a port has an address of this kind.
    return `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  },
};

export type ByteServer = typeof calls;
await serveCalls(calls);
