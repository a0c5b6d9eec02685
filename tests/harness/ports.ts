/** Ports of the loopback address for servers that are to keep theirs over a restart. */

import { createServer } from "node:net";

/**
 * Below the range from which systems take the ports of outgoing connections, so that nobody's
 * connection sits on the port while its server is down.
 */
const lowest = 12_000;
const highest = 30_000;

/** A port on which nobody listens. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest));
    if (await canListen(port)) return port;
  }
  throw new Error(`Cannot find a free port between ${lowest} and ${highest} in 100 attempts`);
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
