/** The reference of commits on Postgres: bare rows of the same bytes, each durable before the next. */

import { randomBytes } from "node:crypto";
import postgres from "postgres";
import { serveCalls } from "../harness/worker.ts";

/** Where to insert. */
export interface Inserts {
  readonly url: string;
  /** Writers at once, each on a connection of its own. */
  readonly connections: number;
}

let clients: postgres.Sql[] = [];

const calls = {
  open: async ({ url, connections }: Inserts): Promise<void> => {
    clients = Array.from({ length: connections }, () => postgres(url, { max: 1 }));
    const [first] = clients;
    await first?.unsafe(
      "create table bare (id bigint generated always as identity, meta bytea, content bytea)",
    );
    await Promise.all(clients.map((client) => client`select 1`));
  },
  /** Inserts for so long; gives rows per second. */
  run: async ({ ms }: { ms: number }): Promise<number> => {
    // As many bytes as a commit's meta with its CIDs, and its blob.
    const rows = Array.from({ length: 64 }, () => [randomBytes(360), randomBytes(1024)] as const);
    const start = performance.now();
    const counts = await Promise.all(clients.map(async (client, at) => {
      let count = 0;
      for (; performance.now() - start < ms; count++) {
        const [meta, content] = rows[(at + count) % rows.length] ?? [];
        if (meta && content) {
          await client`insert into bare (meta, content) values (${meta}, ${content})`;
        }
      }
      return count;
    }));
    return counts.reduce((sum, count) => sum + count, 0) / (performance.now() - start) * 1000;
  },
  close: async (): Promise<void> => {
    await Promise.all(clients.map((client) => client.end()));
  },
};

export type PostgresInserts = typeof calls;
await serveCalls(calls);
