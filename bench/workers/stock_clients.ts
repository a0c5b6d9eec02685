/** Stock clients that write in closed loops, read along, come anew, and come back. */

import type { Buffer } from "node:buffer";
import { makeCar, openStock, type StockClient, type StockPlace } from "../harness/stock_client.ts";
import { percentile } from "../harness/statistics.ts";
import { serveCalls } from "../harness/worker.ts";

/** What a stretch of work came to. */
export interface Pace {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

interface Writer {
  readonly client: StockClient;
  /** Uploaded: all its metas name it. */
  readonly car: string;
}

const carBytes = 1024;
const groups = new Map<string, readonly Writer[]>();
const histories = new Map<
  string,
  readonly { readonly cid: string; readonly bytes: Uint8Array }[]
>();

const calls = {
  /** Opens writers, one for each place. */
  open: async ({ name, places }: { name: string; places: readonly StockPlace[] }) => {
    groups.set(name, await Promise.all(places.map(openWriter)));
  },
  /** Puts for so long. */
  run: async ({ name, ms }: { name: string; ms: number }): Promise<Pace> => {
    const times: number[] = [];
    const start = performance.now();
    await Promise.all((groups.get(name) ?? []).map(async ({ client, car }) => {
      for (let now = performance.now(); now - start < ms;) {
        await client.ask(client.putMeta(car));
        const then = performance.now();
        times.push(then - now);
        now = then;
      }
    }));
    return paceOf(times, performance.now() - start);
  },
  /** Puts so many metas in a row. */
  fill: async ({ place, metas }: { place: StockPlace; metas: number }): Promise<void> => {
    const { client, car } = await openWriter(place);
    for (let at = 0; at < metas; at++) await client.ask(client.putMeta(car));
    client.close();
  },
  /** One writer and readers who have bound: from the put to the last of them. */
  spread: async (
    { place, readers, ms }: { place: StockPlace; readers: number; ms: number },
  ): Promise<Pace> => {
    let left = 0;
    let done = (): void => {};
    const heard = (message: Buffer): void => {
      if (message.indexOf('"eventGetMeta"') >= 0 && --left === 0) done();
    };
    const bound = await Promise.all(Array.from({ length: readers }, async () => {
      const client = await openStock(place, heard);
      await client.ask(client.bind());
      return client;
    }));
    const { client, car } = await openWriter(place);
    const times: number[] = [];
    const start = performance.now();
    for (let now = performance.now(); now - start < ms;) {
      left = readers;
      const all = new Promise<void>((resolve) => done = resolve);
      await Promise.all([client.ask(client.putMeta(car)), all]);
      const then = performance.now();
      times.push(then - now);
      now = then;
    }
    const { perSecond, ...rest } = paceOf(times, performance.now() - start);
    for (const it of [client, ...bound]) it.close();
    return { perSecond: perSecond * readers, ...rest };
  },
  /** A new connection binds: how long its answer takes, and how long that is. */
  bindAnew: async (place: StockPlace): Promise<{ ms: number; bytes: number }> => {
    const client = await openStock(place);
    const start = performance.now();
    const { length } = await client.ask(client.bind());
    const ms = performance.now() - start;
    client.close();
    return { ms, bytes: length };
  },
  /** One put by a writer that is up to date. */
  putOnce: async ({ name }: { name: string }): Promise<number> => {
    const [writer] = groups.get(name) ?? [];
    if (!writer) throw new Error(`Cannot put: no group is called "${name}"`);
    const start = performance.now();
    await writer.client.ask(writer.client.putMeta(writer.car));
    return performance.now() - start;
  },
  /** Attaches a database of so many commits: all its cars are uploaded, whatever the server has. */
  attach: async ({ place, cars }: { place: StockPlace; cars: number }): Promise<number> => {
    const history = histories.get(place.ledger) ??
      Array.from({ length: cars }, () => makeCar(carBytes));
    histories.set(place.ledger, history);
    const client = await openStock(place);
    const start = performance.now();
    await client.ask(client.bind());
    for (const { cid, bytes } of history) await client.upload(cid, bytes);
    const ms = performance.now() - start;
    client.close();
    return ms;
  },
};

async function openWriter(place: StockPlace): Promise<Writer> {
  const client = await openStock(place);
  const { cid, bytes } = makeCar(carBytes);
  await client.upload(cid, bytes);
  return { client, car: cid };
}

function paceOf(times: readonly number[], ms: number): Pace {
  return {
    perSecond: times.length / (ms / 1000),
    p50Ms: percentile(times, 50),
    p99Ms: percentile(times, 99),
  };
}

export type StockClients = typeof calls;
await serveCalls(calls);
