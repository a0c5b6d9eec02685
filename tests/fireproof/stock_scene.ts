/** What the tests with the stock client share: one process for each database, as its own leaks need. */

import type { Device } from "../harness/device.ts";
import type { ServerProcess, TokenOptions } from "../harness/server_process.ts";
import { ledger as usual } from "./scene.ts";

/** Attaches devices to a ledger by the stock client's own protocol. */
export async function joinStock(
  server: Pick<ServerProcess, "port" | "stockToken">,
  devices: readonly Device[],
  { ledger = usual, ...options }: TokenOptions & { readonly ledger?: string } = {},
): Promise<void> {
  const token = await server.stockToken(ledger, options);
  const url = `fpcloud://127.0.0.1:${server.port}?protocol=ws`;
  await Promise.all(devices.map((device) => device.attachStock({ url, token })));
}
