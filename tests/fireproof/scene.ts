/** What the tests with the real Fireproof share: attaching devices, and waiting until they agree. */

import type { TestOptions } from "node:test";
import { assertEquals } from "#assert";
import type { Changes, Client } from "../../src/client/mod.ts";
import type { Device } from "../harness/device.ts";
import type { Doc, LedgerPlace } from "../harness/device_core.ts";
import { eventually } from "../harness/eventually.ts";
import { brevity } from "../require.ts";
import type { ServerProcess, TokenOptions } from "../harness/server_process.ts";

/** Bound of one test: most take seconds, but several databases at work need the processor. */
export const patient: TestOptions = { timeout: 180_000 };

/** For tests that keep several databases at work for ten seconds or more. */
export const long: TestOptions = { ...patient, skip: brevity() };

/** The ledger of tests that need only one. */
export const ledger = "acme/todos";

/** Options of {@linkcode join}. */
export interface JoinOptions extends TokenOptions, Partial<LedgerPlace> {}

/** Attaches devices to a ledger of the server, all with tokens of their own subjects. */
export async function join(
  server: Pick<ServerProcess, "url" | "token">,
  devices: readonly Device[],
  { right, subject, ...place }: JoinOptions = {},
): Promise<void> {
  const at = { url: server.url, ledger, ...place };
  await Promise.all(devices.map(async (device) => {
    const token = place.token ?? await server.token(at.ledger, { right, subject });
    await device.attach({ ...at, token });
  }));
}

/** Documents with these ids and a text that follows from them. */
export function docsOf(...ids: readonly string[]): Doc[] {
  return ids.map((_id) => ({ _id, text: `text of ${_id}` }));
}

/** Ids `prefix-000`, `prefix-001`, … */
export function idsOf(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, at) => `${prefix}-${String(at).padStart(3, "0")}`);
}

/** The heads of a ledger, with its keys and the cars in use. */
export async function headsOf(client: Client, ledger: string): Promise<Changes> {
  const { promise, resolve } = Promise.withResolvers<Changes>();
  const watch = client.watch(ledger, { onChanges: resolve }, { inventory: true });
  const changes = await promise;
  watch.close();
  return changes;
}

/** Waits until each device has exactly the documents with these ids. */
export async function have(devices: readonly Device[], ids: readonly string[]): Promise<void> {
  const expected = ids.toSorted();
  for (const device of devices) {
    await eventually(async () => {
      assertEquals(Object.keys(await device.docs()).sort(), expected);
    }, { on: [device] });
  }
}

/** Waits until the subscription of each device has told of these ids. */
export async function hear(devices: readonly Device[], ids: readonly string[]): Promise<void> {
  for (const device of devices) {
    await eventually(async () => {
      const heard = new Set(await device.heard());
      assertEquals(ids.filter((id) => !heard.has(id)), [], "Expected to hear of all");
    }, { on: [device] });
  }
}

/** Waits until the sync of each device is in a state. */
export async function reach(devices: readonly Device[], state: string): Promise<void> {
  for (const device of devices) {
    await eventually(async () => {
      const status = await device.status();
      assertEquals(status.state, state, `Expected ${state}, found ${JSON.stringify(status)}`);
    }, { on: [device] });
  }
}
