/** Watching: what is read and what is pushed fit together without a seam. */

import { test } from "node:test";
import { assert, assertEquals, assertRejects } from "#assert";
import { HearthError } from "../../src/protocol/errors.ts";
import type { Notice } from "../../src/protocol/methods.ts";
import type { Meta } from "../../src/protocol/model.ts";
import { parseNotice } from "../../src/protocol/parse.ts";
import { createMemoryMetaStore } from "../../src/backend/stores/memory.ts";
import { makeBlob, makeMeta } from "./support/made.ts";
import { RawSocket, rpc } from "./support/raw_client.ts";
import { startTestBackend, type TestBackend } from "./support/test_backend.ts";

const ledger = "acme/todos";

async function greet(server: TestBackend): Promise<RawSocket> {
  return await RawSocket.greet(server.url, await server.token());
}

function changesOf(socket: RawSocket): readonly Notice<"metas">[] {
  return socket.notices.filter((it) => it.method === "metas")
    .map((it) => parseNotice("metas", it.params));
}

/** Waits for so many metas in notices. */
async function metasOf(socket: RawSocket, count: number): Promise<readonly Meta[]> {
  const all = () => changesOf(socket).flatMap((it) => it.metas);
  if (all().length < count) await socket.until(() => all().length >= count);
  return all();
}

async function commit(socket: RawSocket, ...texts: readonly string[]): Promise<string> {
  const metas = texts.map((text) => makeMeta(text));
  return (await socket.call("commit", { ledger, metas })).cursor;
}

const textOf = (meta: Meta): string => new TextDecoder().decode(meta.data);

test("a watch without cursor starts from the heads, with all keys", async () => {
  await using server = await startTestBackend();
  const socket = await greet(server);
  const [a, b] = [makeMeta("a"), makeMeta("b")];
  await socket.call("commit", { ledger, metas: [a], keys: ["k1"] });
  await socket.call("commit", { ledger, metas: [b], keys: ["k2"], supersedes: [a.cid] });
  const changes = await socket.call("watch", { ledger });
  const { reset, after, metas, keys, more, inventory } = changes;
  assertEquals({ reset, after, more, inventory }, {
    reset: true,
    after: null,
    more: false,
    inventory: undefined,
  });
  assertEquals(metas.map(textOf), ["b"]);
  assertEquals(keys, ["k1", "k2"]);
  await socket.close();
});

test("an inventory comes with a reset when it is asked for", async () => {
  await using server = await startTestBackend();
  const socket = await greet(server);
  const [car, file] = [makeBlob(1, 10), makeBlob(2, 10, "file")];
  const metas = [makeMeta("a", [car.ref, file.ref])];
  await socket.call("commit", { ledger, metas, blobs: [car.upload, file.upload] });
  const { inventory } = await socket.call("watch", { ledger, inventory: true });
  assertEquals(inventory, [{ ...car.ref, size: 10 }]);
  await socket.close();
});

test("a commit reaches its own connection and others, once, with keys and small blobs", async () => {
  await using server = await startTestBackend();
  const [writer, reader] = [await greet(server), await greet(server)];
  const { cursor } = await writer.call("watch", { ledger });
  await reader.call("watch", { ledger, cursor });
  const blob = makeBlob(3, 1000);
  const meta = makeMeta("a", [blob.ref]);
  const done = await writer.call("commit", {
    ledger,
    metas: [meta],
    blobs: [blob.upload],
    keys: ["k"],
  });
  for (const socket of [writer, reader]) {
    await metasOf(socket, 1);
    const [change, ...more] = changesOf(socket);
    assert(change);
    assertEquals(more, []);
    assertEquals(
      [change.after, change.cursor, change.reset, change.keys, change.metas.map(textOf)],
      [cursor, done.cursor, false, ["k"], ["a"]],
    );
    assertEquals(change.blobs.map((it) => it.bytes && [...it.bytes]), [[...blob.bytes]]);
    await socket.close();
  }
});

test("a commit that comes while a watch is being read follows its answer, without any further commit", async () => {
  const metaStore = createMemoryMetaStore();
  const heads = metaStore.heads.bind(metaStore);
  const [read, release] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  metaStore.heads = async (...args) => {
    const found = await heads(...args);
    read.resolve();
    await release.promise;
    return found;
  };
  await using server = await startTestBackend({ metaStore });
  const [writer, reader] = [await greet(server), await greet(server)];
  const watched = reader.call("watch", { ledger });
  await read.promise;
  await commit(writer, "a");
  release.resolve();
  assertEquals((await watched).metas, []);
  assertEquals((await metasOf(reader, 1)).map(textOf), ["a"]);
  const kinds = reader.frames.slice(1).map((it) => it.kind);
  assertEquals(kinds, ["reply", "notification"]);
  await Promise.all([writer.close(), reader.close()]);
});

test("keys that came alone while a watcher was away reach it when it comes back", async () => {
  await using server = await startTestBackend();
  const [writer, reader] = [await greet(server), await greet(server)];
  const cursor = await commit(writer, "a");
  await writer.call("commit", { ledger, keys: ["alone"] });
  const { keys, metas } = await reader.call("watch", { ledger, cursor });
  assertEquals([keys, metas], [["alone"], []]);
  await Promise.all([writer.close(), reader.close()]);
});

test("a repeated commit tells nobody anything", async () => {
  await using server = await startTestBackend();
  const socket = await greet(server);
  await socket.call("watch", { ledger });
  const first = await commit(socket, "a");
  assertEquals(await commit(socket, "a"), first);
  await commit(socket, "b");
  assertEquals((await metasOf(socket, 2)).map(textOf), ["a", "b"]);
  assertEquals(changesOf(socket).length, 2);
  await socket.close();
});

test("a watch goes on behind its cursor, through a log longer than a page", async () => {
  await using server = await startTestBackend();
  const socket = await greet(server);
  const texts = Array.from({ length: 1300 }, (_, at) => `meta ${at}`);
  const start = await commit(socket, "before");
  for (let at = 0; at < texts.length; at += 100) await commit(socket, ...texts.slice(at, at + 100));
  const first = await socket.call("watch", { ledger, cursor: start });
  assertEquals(first.more, true);
  const rest = await metasOf(socket, texts.length - first.metas.length);
  assertEquals([...first.metas, ...rest].map(textOf), texts);
  await socket.close();
});

test("`epoch.0` reads the whole log", async () => {
  await using server = await startTestBackend();
  const socket = await greet(server);
  await commit(socket, "a", "b");
  const cursor = `${server.deps.metaStore.epoch}.0`;
  const changes = await socket.call("watch", { ledger, cursor });
  assertEquals([changes.reset, changes.metas.map(textOf)], [false, ["a", "b"]]);
  await socket.close();
});

test("a cursor of another epoch, above the head, or that is none, is refused, on both transports", async () => {
  await using server = await startTestBackend();
  const socket = await greet(server);
  const token = await server.token();
  const { epoch } = server.deps.metaStore;
  await commit(socket, "a");
  const wrong = [
    "aaaaaaaaaaaaaaaa.1",
    `${epoch}.2`,
    `${epoch}.9007199254740993`,
    `${epoch}.-1`,
    "abc",
    "",
  ];
  for (const cursor of wrong) {
    const calls = [
      () => socket.call("watch", { ledger, cursor }),
      () => rpc(server.url, token, "poll", { ledger, cursor }),
    ];
    for (const call of calls) {
      const error = await assertRejects(call);
      assert(error instanceof HearthError);
      assertEquals(error.code, "CURSOR_INVALID", cursor);
    }
  }
  await socket.close();
});

test("after delMeta live watchers get the heads, and older cursors a reset", async () => {
  await using server = await startTestBackend();
  const [writer, reader] = [await greet(server), await greet(server)];
  const old = await commit(writer, "a");
  await commit(writer, "b");
  await reader.call("watch", { ledger });
  const { cursor } = await writer.call("delMeta", { ledger, metas: [makeMeta("a").cid] });
  await reader.until(() => changesOf(reader).length === 1);
  const [change] = changesOf(reader);
  assertEquals([change?.reset, change?.after, change?.cursor], [true, null, cursor]);
  assertEquals(change?.metas.map(textOf), ["b"]);
  const late = await writer.call("watch", { ledger, cursor: old });
  assertEquals([late.reset, late.metas.map(textOf)], [true, ["b"]]);
  await commit(writer, "c");
  await reader.until(() => changesOf(reader).length === 2);
  assertEquals(changesOf(reader)[1]?.after, cursor);
  await Promise.all([writer.close(), reader.close()]);
});

test("a second watch of a ledger replaces the first, and unwatch ends it", async () => {
  await using server = await startTestBackend();
  const socket = await greet(server);
  await socket.call("watch", { ledger });
  await socket.call("watch", { ledger });
  await commit(socket, "a");
  await commit(socket, "b");
  await metasOf(socket, 2);
  assertEquals(changesOf(socket).length, 2);
  await socket.call("unwatch", { ledger });
  await commit(socket, "c");
  await socket.call("getWal", { ledger, name: "x" });
  assertEquals(changesOf(socket).length, 2);
  await socket.close();
});

test("a watch hears of its own ledger alone", async () => {
  await using server = await startTestBackend();
  const token = await server.token("write", ["acme/todos", "acme/other"]);
  const socket = await RawSocket.greet(server.url, token);
  await socket.call("watch", { ledger: "acme/other" });
  await commit(socket, "a");
  await socket.call("commit", { ledger: "acme/other", metas: [makeMeta("b")] });
  await metasOf(socket, 1);
  assertEquals(changesOf(socket).map((it) => it.ledger), ["acme/other"]);
  await socket.close();
});

test("a ledger that nobody has written reads as empty, and tells of its first commit", async () => {
  await using server = await startTestBackend();
  const socket = await greet(server);
  const { epoch } = server.deps.metaStore;
  const changes = await socket.call("watch", { ledger });
  assertEquals([changes.reset, changes.cursor, changes.metas], [true, `${epoch}.0`, []]);
  await commit(socket, "a");
  await metasOf(socket, 1);
  await socket.close();
});

test("a connection has at most 1000 watches", async () => {
  const ledgers = Array.from({ length: 1001 }, (_, at) => `t/l${at}`);
  const grants = new Map(ledgers.map((it) => [it, "read" as const]));
  // A token for so many ledgers would be too long: this verifier knows them.
  const expiresAt = Date.now() + 60_000;
  await using wide = await startTestBackend({
    verify: () => Promise.resolve({ subject: "s", tokenId: "t", issuedAt: 0, expiresAt, grants }),
  });
  const socket = await RawSocket.greet(wide.url, "any");
  const ids = ledgers.map((it) => socket.ask("watch", { ledger: it }));
  const error = await assertRejects(() => socket.reply(ids.at(-1) ?? 0));
  assert(error instanceof HearthError);
  assertEquals(error.code, "RATE_LIMITED");
  await socket.reply(ids.at(-2) ?? 0);
  await socket.close();
});

test("poll answers at once when there is something, waits otherwise, and wakes by a commit", async () => {
  await using server = await startTestBackend();
  const token = await server.token();
  const socket = await greet(server);
  const first = await rpc(server.url, token, "poll", { ledger, waitMs: 30_000 });
  assertEquals(first.changes.reset, true);
  const { cursor } = first.changes;
  const nothing = await rpc(server.url, token, "poll", { ledger, cursor });
  assertEquals(nothing.changes, {
    ...nothing.changes,
    after: cursor,
    cursor,
    metas: [],
    more: false,
  });

  const waiting = rpc(server.url, token, "poll", { ledger, cursor, waitMs: 30_000 });
  await commit(socket, "a");
  const woken = await waiting;
  assertEquals([woken.changes.reset, woken.changes.metas.map(textOf)], [false, ["a"]]);
  await socket.close();
});

test("poll pages through a long log", async () => {
  await using server = await startTestBackend();
  const token = await server.token();
  const socket = await greet(server);
  for (let at = 0; at < 8; at++) {
    await commit(socket, ...Array.from({ length: 100 }, (_, it) => `${at}/${it}`));
  }
  let cursor = `${server.deps.metaStore.epoch}.0`;
  const seen: string[] = [];
  for (let more = true; more;) {
    const { changes } = await rpc(server.url, token, "poll", { ledger, cursor });
    seen.push(...changes.metas.map(textOf));
    ({ cursor, more } = changes);
  }
  assertEquals([seen.length, new Set(seen).size], [800, 800]);
  await socket.close();
});

test("tell reaches the other watchers and waiting polls, not its sender", async () => {
  await using server = await startTestBackend();
  const token = await server.token();
  const [sender, other] = [await greet(server), await greet(server)];
  const { cursor } = await sender.call("watch", { ledger });
  await other.call("watch", { ledger });
  const polled = rpc(server.url, token, "poll", { ledger, cursor, waitMs: 30_000 });
  // The poll has arrived when the server answers it to a second teller; until then it is told again.
  let told: Awaited<typeof polled> | undefined;
  void polled.then((it) => (told = it));
  const body = new Uint8Array([1, 2, 3]);
  while (!told) {
    await sender.call("tell", { ledger, body });
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assertEquals(told.told[0], { from: "alice", body });
  await other.until((it) => it.kind === "notification" && it.method === "told");
  assertEquals(sender.notices.filter((it) => it.method === "told"), []);
  await Promise.all([sender.close(), other.close()]);
});
