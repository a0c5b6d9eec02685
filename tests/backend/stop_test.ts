/** The end of a server: what was asked is answered, everybody is told when to come back. */

import { test } from "node:test";
import { assertEquals, assertRejects } from "#assert";
import { createMemoryMetaStore } from "../../src/backend/stores/memory.ts";
import { parseNotice } from "../../src/protocol/parse.ts";
import { createFakeClock } from "../harness/fake_clock.ts";
import { makeMeta } from "./support/made.ts";
import { RawSocket, rpc } from "./support/raw_client.ts";
import { TcpSocket } from "./support/tcp_socket.ts";
import { startTestBackend } from "./support/test_backend.ts";

const ledger = "acme/todos";

test("a stopping server finishes commits, answers polls, and closes sockets with 1001", async () => {
  const metaStore = createMemoryMetaStore();
  const gate = Promise.withResolvers<void>();
  const commit = metaStore.commit.bind(metaStore);
  metaStore.commit = async (commits) => {
    await gate.promise;
    return await commit(commits);
  };
  // Authenticated: two sockets and two requests; a poll that waits has read the log.
  let authenticated = 0;
  let polling = false;
  const underWay = Promise.withResolvers<void>();
  const look = () => authenticated === 4 && polling && underWay.resolve();
  const log = metaStore.log.bind(metaStore);
  metaStore.log = async (...args) => {
    polling = true;
    look();
    return await log(...args);
  };
  const expiresAt = Date.now() + 60_000;
  const grants = new Map([[ledger, "write" as const]]);
  const server = await startTestBackend({
    metaStore,
    random: () => 0.5,
    verify: () => {
      authenticated++;
      look();
      return Promise.resolve({ subject: "alice", tokenId: "t", issuedAt: 0, expiresAt, grants });
    },
  });
  const token = "any";
  const writer = await RawSocket.greet(server.url, token);
  const idle = await RawSocket.greet(server.url, token);
  const { cursor } = await idle.call("watch", { ledger });
  const committed = writer.call("commit", { ledger, metas: [makeMeta("a")] });
  const overHttp = rpc(server.url, token, "commit", { ledger, metas: [makeMeta("b")] });
  const polled = rpc(server.url, token, "poll", { ledger, cursor, waitMs: 30_000 });
  await underWay.promise;

  const stopped = server.stop();
  await idle.closed;
  gate.resolve();
  const seqs = (await Promise.all([committed, overHttp])).map((it) => it.cursor.split(".")[1]);
  assertEquals(seqs.sort(), ["1", "2"]);
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
  const clock = createFakeClock();
  const server = await startTestBackend({ clock });
  const mute = await TcpSocket.open(server.url);
  const stopped = server.stop();
  await mute.until(() => mute.closeCode !== undefined);
  clock.advance(9_000);
  await stopped;
  mute.destroy();
});
