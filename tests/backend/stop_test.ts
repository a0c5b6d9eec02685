/** The end of a server: what was asked is answered, everybody is told when to come back. */

import { test } from "node:test";
import { assert, assertEquals, assertRejects } from "#assert";
import { createMemoryMetaStore } from "../../src/backend/stores/memory.ts";
import type { MetaStore } from "../../src/backend/stores/meta_store.ts";
import { parseNotice } from "../../src/protocol/parse.ts";
import { makeMeta } from "./support/made.ts";
import { RawSocket, rpc } from "./support/raw_client.ts";
import { startTestBackend } from "./support/test_backend.ts";

const ledger = "acme/todos";

/** A store whose commits wait until they are let through. */
function gated(): { readonly store: MetaStore; readonly asked: Promise<void>; open(): void } {
  const store = createMemoryMetaStore();
  const gate = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  const commit = store.commit.bind(store);
  store.commit = async (commits) => {
    asked.resolve();
    await gate.promise;
    return await commit(commits);
  };
  return { store, asked: asked.promise, open: gate.resolve };
}

test("a stopping server finishes commits, answers polls, and closes sockets with 1001", async () => {
  const { store, asked, open } = gated();
  const server = await startTestBackend({ metaStore: store, random: () => 0.5 });
  const token = await server.token();
  const writer = await RawSocket.greet(server.url, token);
  const idle = await RawSocket.greet(server.url, token);
  const { cursor } = await idle.call("watch", { ledger });
  const committed = writer.call("commit", { ledger, metas: [makeMeta("a")] });
  const overHttp = rpc(server.url, token, "commit", { ledger, metas: [makeMeta("b")] });
  const polled = rpc(server.url, token, "poll", { ledger, cursor, waitMs: 30_000 });
  await asked;
  await until(() => server.log.length >= 0 && polled !== undefined);

  const stopped = server.stop();
  await idle.closed;
  open();
  assertEquals((await committed).cursor.endsWith(".1"), true);
  await overHttp;
  await polled;
  assertEquals((await writer.closed).code, 1001);
  assertEquals((await idle.closed).code, 1001);
  const notice = idle.notices.find((it) => it.method === "closing");
  assertEquals(parseNotice("closing", notice?.params), { resumeAfterMs: 1500 });
  await stopped;
  await assertRejects(() => RawSocket.open(server.url));
});

test("stopping twice is stopping once, and a new server can take the same port", async () => {
  const first = await startTestBackend();
  await Promise.all([first.stop(), first.stop()]);
  const port = Number(new URL(first.url).port);
  const second = await startTestBackend({ port });
  const socket = await RawSocket.greet(second.url, await second.token());
  await socket.close();
  await second.stop();
});

test("a peer that does not answer the close does not hold up the end", async () => {
  const { TcpSocket } = await import("./support/tcp_socket.ts");
  const server = await startTestBackend();
  const mute = await TcpSocket.open(server.url);
  mute.pause();
  const start = performance.now();
  await server.stop();
  assert(performance.now() - start < 10_000);
  mute.destroy();
});

async function until(isSo: () => boolean): Promise<void> {
  // Both HTTP requests are under way when a later request of the same kind has been answered.
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5));
}
