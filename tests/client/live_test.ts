/** The client against the real server, over WebSocket and over HTTP. */

import { test } from "node:test";
import { assert, assertEquals, assertRejects } from "#assert";
import { connect, createClient } from "../../src/client/connect.ts";
import { createDeps } from "../../src/client/deps.ts";
import type { BlobListing, Changes, Client } from "../../src/client/mod.ts";
import { HearthError } from "../../src/protocol/errors.ts";
import { makeBlob, makeMeta } from "../backend/support/made.ts";
import { startTestBackend, type TestBackend } from "../backend/support/test_backend.ts";
import { eventually } from "../harness/eventually.ts";
import { createFakeClock } from "../harness/fake_clock.ts";
import { recordWatch } from "./support/record_watch.ts";

const ledger = "acme/todos";

for (const transport of ["websocket", "http"] as const) {
  const client = async (backend: TestBackend): Promise<Client> =>
    connect({ url: backend.url, token: await backend.token(), transport });

  test(`${transport}: what one client commits the other is told, and can fetch`, async () => {
    await using backend = await startTestBackend();
    await using writer = await client(backend);
    await using reader = await client(backend);
    const watch = recordWatch(reader, ledger);
    await watch.live();

    const blob = makeBlob(1, 1000);
    const meta = makeMeta("one", [blob.ref]);
    const cursor = await writer.commit({
      ledger,
      blobs: [blob.upload],
      metas: [meta],
      keys: ["a key"],
    });
    const told = await eventually(() => {
      const found = watch.changes.find(({ metas }) => metas.length > 0);
      assert(found, "the commit has not been told yet");
      return found;
    });
    assertEquals(told.cursor, cursor);
    assertEquals(told.metas[0]?.cid, meta.cid);
    assertEquals(told.keys, ["a key"]);
    const got: Uint8Array[] = [];
    const missing = await reader.getBlobs(ledger, [blob.ref, makeBlob(2, 1).ref], ({ bytes }) => {
      got.push(bytes);
    });
    assertEquals(got.map((it) => [...it]), [[...blob.bytes]]);
    assertEquals(missing, [makeBlob(2, 1).ref]);
  });

  test(`${transport}: commits of any size arrive whole`, async () => {
    await using backend = await startTestBackend();
    await using writer = await client(backend);
    // Many small ones beyond one message, and some beyond what travels inside of messages.
    const small = Array.from({ length: 40 }, (_, at) => makeBlob(at, 60_000));
    const large = [300_000, 2_000_000, 5_000_000].map((size, at) => makeBlob(100 + at, size));
    const blobs = [...small, ...large];
    const meta = makeMeta("large", blobs.map(({ ref }) => ref));
    await writer.commit({
      ledger,
      blobs: blobs.map(({ upload }) => upload),
      metas: [meta],
      keys: ["k"],
    });
    const got = new Map<string, Uint8Array>();
    await using reader = await client(backend);
    assertEquals(await reader.missing(ledger, [...meta.blobs, makeBlob(7, 7).ref]), [
      makeBlob(7, 7).ref,
    ]);
    await reader.getBlobs(ledger, meta.blobs, ({ cid, bytes }) => void got.set(cid, bytes));
    assertEquals(got.size, blobs.length);
    for (const { ref, bytes } of blobs) {
      assert(got.get(ref.cid)?.every((byte, at) => byte === bytes[at]), ref.cid);
    }
  });

  test(`${transport}: more blobs than one page holds are listed, newest first`, async () => {
    await using backend = await startTestBackend();
    await using writer = await client(backend);
    const made = Array.from({ length: 1_100 }, (_, at) => {
      const { bytes } = makeBlob(at & 255, 1 + (at >> 8));
      return { store: "car" as const, cid: makeMeta(`blob ${at}`).cid, bytes };
    });
    await writer.commit({ ledger, blobs: made, metas: [makeMeta("one")] });
    const retires = made.slice(0, 900).map(({ store, cid }) => ({ store, cid }));
    await writer.commit({ ledger, metas: [makeMeta("two")], retires });
    const pages: (readonly BlobListing[])[] = [];
    for await (const page of writer.listBlobs(ledger, "car")) pages.push(page);
    assertEquals(pages.map(({ length }) => length), [1_000, 100]);
    const expected = made.map(({ store, cid, bytes }) => ({ store, cid, size: bytes.length }));
    assertEquals(pages.flat(), expected.reverse());
    for await (const page of writer.listBlobs(ledger, "file")) assertEquals(page, []);
  });

  test(`${transport}: a token that grants less is told so, and the rest goes on`, async () => {
    await using backend = await startTestBackend();
    await using reader = connect({
      url: backend.url,
      token: await backend.token("read"),
      transport,
    });
    const error = await assertRejects(() => reader.commit({ ledger, metas: [makeMeta("no")] }));
    assert(error instanceof HearthError);
    assertEquals(error.code, "FORBIDDEN");
    assertEquals((await reader.call("missing", { ledger })).blobs, []);
    let refused: HearthError | undefined;
    reader.watch("other/ledger", { onChanges() {}, onError: (error) => void (refused = error) });
    await eventually(() => assertEquals(refused?.code, "FORBIDDEN"));
  });

  test(`${transport}: many commits at once are all acknowledged, and told in order`, async () => {
    await using backend = await startTestBackend();
    await using writer = await client(backend);
    await using reader = await client(backend);
    const watch = recordWatch(reader, ledger);
    await watch.live();
    const names = Array.from({ length: 200 }, (_, at) => `commit ${at}`);
    await Promise.all(names.map((name) => writer.commit({ ledger, metas: [makeMeta(name)] })));
    await eventually(() => assertEquals(watch.metas().length, names.length));
    assertEquals(new Set(watch.metas()), new Set(names.map((name) => makeMeta(name).cid)));
    watch.checkOrder();
  });

  test(`${transport}: a client comes back after the server was gone, and misses nothing`, async () => {
    const backend = await startTestBackend();
    await using reader = await client(backend);
    const watch = recordWatch(reader, ledger);
    await watch.live();
    await backend.stop();
    await eventually(() => assertEquals(watch.isLive, false));
    const committed = reader.call("getWal", { ledger, name: "w" });
    await using again = await startTestBackend({ ...backend.deps, port: portOf(backend) });
    await using writer = await client(again);
    await writer.commit({ ledger, metas: [makeMeta("meanwhile")] });
    await eventually(() => assertEquals(watch.metas(), [makeMeta("meanwhile").cid]));
    await watch.live();
    assertEquals((await committed).version, 0);
  });
}

test("auto takes the socket, and HTTP where sockets do not get through", async () => {
  await using backend = await startTestBackend();
  const token = await backend.token();
  await using client = connect({ url: backend.url, token });
  await client.call("missing", { ledger });
  assert(client.status.state === "open");
  assertEquals(client.status.via, "websocket");
});

test("ephemeral messages reach the other watchers, and nobody else", async () => {
  await using backend = await startTestBackend();
  const token = await backend.token();
  for (const transport of ["websocket", "http"] as const) {
    await using teller = connect({ url: backend.url, token });
    await using hearer = connect({ url: backend.url, token, transport });
    const watch = recordWatch(hearer, ledger);
    await watch.live();
    await teller.call("missing", { ledger });
    await eventually(async () => {
      await teller.tell(ledger, new Uint8Array([1, 2, 3]));
      assertEquals(watch.told[0], { from: "alice", body: new Uint8Array([1, 2, 3]) });
    });
  }
});

test("a token that ends is replaced on the live socket", async () => {
  const clock = createFakeClock(1_700_000_000_000);
  await using backend = await startTestBackend({ clock });
  let asked = 0;
  const token = () => {
    asked++;
    return backend.token("write", [ledger], { lifeMs: 7_000 });
  };
  await using client = createClient(
    { url: backend.url, token },
    { ...createDeps(backend.url), clock },
  );
  const states: string[] = [];
  client.onStatus(({ state }) => states.push(state));
  await client.call("missing", { ledger });
  clock.advance(5_600);
  await eventually(() => assert(backend.log.some(({ method }) => method === "auth")));
  assertEquals(asked, 2);
  // The first one has ended by now.
  clock.advance(2_000);
  await client.call("missing", { ledger });
  assertEquals(states, ["open"]);
});

test("many watches over HTTP share a few polls, and calls get through", async () => {
  await using backend = await startTestBackend();
  const ledgers = Array.from({ length: 8 }, (_, at) => `acme/list${at}`);
  const token = await backend.token("write", ledgers);
  await using client = connect({ url: backend.url, token, transport: "http" });
  const watches = ledgers.map((ledger) => recordWatch(client, ledger));
  await Promise.all(watches.map((watch) => watch.live()));
  await Promise.all(ledgers.map((ledger) => client.commit({ ledger, metas: [makeMeta(ledger)] })));
  await eventually(() => {
    const told: Changes[][] = watches.map(({ changes }) => [...changes]);
    assert(told.every((changes) => changes.some(({ metas }) => metas.length > 0)));
  });
});

function portOf({ url }: TestBackend): number {
  return Number(new URL(url).port);
}
