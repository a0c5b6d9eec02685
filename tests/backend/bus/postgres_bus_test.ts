/** The bus over Postgres passes the suite of its interface; and what only a network can do to it. */

import { describe, it } from "node:test";
import postgres from "postgres";
import { assert, assertEquals, assertRejects } from "#assert";
import { openPostgresBus, type PostgresBusOptions } from "../../../src/backend/bus/postgres_bus.ts";
import { HearthError } from "../../../src/protocol/errors.ts";
import { bounded, busSuite, hintOf, listenAt } from "../../conformance/bus.ts";
import { eventually } from "../../harness/eventually.ts";
import { startFaultProxy } from "../../harness/fault_proxy.ts";
import { freePort } from "../../harness/ports.ts";
import { serverUrl } from "../../harness/postgres_server.ts";

const port = Number(serverUrl.port || 5432);
const urlAt = (at: number): string => Object.assign(new URL(serverUrl), { port: `${at}` }).href;
const newChannel = (): string => `test_${crypto.randomUUID()}`;

busSuite("postgres", () => {
  const channel = newChannel();
  const sql = postgres(urlAt(port), { max: 1 });
  return Promise.resolve({
    join: () => openPostgresBus({ url: urlAt(port), channel }),
    inject: async (payload) => void await sql`select pg_notify(${channel}, ${payload})`,
    [Symbol.asyncDispose]: () => sql.end(),
  });
});

/** Short enough to wait for, long enough for a busy machine. */
const quick = { beatMs: 50, beatTimeoutMs: 2_000, random: () => 0.9 };

function open(channel: string, at: number, options: Partial<PostgresBusOptions> = {}) {
  return openPostgresBus({ url: urlAt(at), channel, ...quick, ...options });
}

describe("openPostgresBus()", () => {
  it("notices a connection that has become a hole, and tells of the gap", bounded, async () => {
    const channel = newChannel();
    await using proxy = await startFaultProxy({ target: port });
    await using near = await open(channel, port);
    await using far = await open(channel, proxy.port);
    const ear = listenAt(far);
    near.publish([{ ledger: "acme/before", seq: 1 }]);
    await hintOf(ear, "acme/before");
    assertEquals(far.counts.gaps, 0);
    await proxy.set("hole");
    const { bytesUp, bytesDown, accepted } = proxy;
    // Swallowed: a beat of its own on the one connection, of the other end on the one that listens.
    // Both are holes from now on, for their lives.
    await eventually(() => assert(proxy.bytesUp > bytesUp && proxy.bytesDown > bytesDown));
    await proxy.set("pass");
    await eventually(() => assert(ear.gaps > 0), { on: [ear] });
    assert(proxy.accepted > accepted, "both connections should be new");
    near.publish([{ ledger: "acme/after", seq: 1 }]);
    await hintOf(ear, "acme/after");
  });

  it("keeps hints while the database is away, and sends them afterwards", bounded, async () => {
    const channel = newChannel();
    await using proxy = await startFaultProxy({ target: port });
    await using near = await open(channel, port);
    await using far = await open(channel, proxy.port);
    const [ear, own] = [listenAt(near), listenAt(far)];
    await proxy.set("refuse");
    far.publish([{ ledger: "acme/a", seq: 1 }]);
    far.publish([{ ledger: "acme/b", seq: 1 }]);
    await eventually(() => assertEquals(proxy.open, 0));
    far.publish([{ ledger: "acme/a", seq: 2 }]);
    await proxy.set("pass");
    await Promise.all([hintOf(ear, "acme/a"), hintOf(ear, "acme/b")]);
    await eventually(() => {
      const seqs = ear.hints.filter((it) => it.ledger === "acme/a").map((it) => it.seq);
      assertEquals(Math.max(...seqs), 2);
    }, { on: [ear] });
    await eventually(() => assert(own.gaps > 0), { on: [own] });
  });

  it(
    "listens again when the server has ended its connection, and tells of the gap",
    bounded,
    async () => {
      const channel = newChannel();
      await using proxy = await startFaultProxy({ target: port });
      await using near = await open(channel, port);
      await using far = await open(channel, proxy.port, { beatMs: 60_000, beatTimeoutMs: 60_000 });
      const ear = listenAt(far);
      await proxy.set("reset");
      await proxy.set("pass");
      await eventually(() => assert(ear.gaps > 0), { on: [ear] });
      near.publish([{ ledger: "acme/a", seq: 1 }]);
      await hintOf(ear, "acme/a");
    },
  );

  it("refuses a database that is not there", bounded, async () => {
    const absent = await freePort();
    const error = await assertRejects(() => open(newChannel(), absent));
    assertEquals(error instanceof HearthError && error.code, "UNAVAILABLE");
  });

  it("refuses a database that says nothing", bounded, async () => {
    await using proxy = await startFaultProxy({ target: port, mode: "hole" });
    const error = await assertRejects(() => open(newChannel(), proxy.port, { beatTimeoutMs: 300 }));
    assertEquals(error instanceof HearthError && error.code, "UNAVAILABLE");
  });

  it("can be left while its connection is a hole", bounded, async () => {
    await using proxy = await startFaultProxy({ target: port });
    const bus = await open(newChannel(), proxy.port);
    await proxy.set("hole");
    bus.publish([{ ledger: "acme/a", seq: 1 }]);
    await bus[Symbol.asyncDispose]();
  });
});
