/** The bus over NATS passes the suite of its interface; and what happens when its server goes. */

import { connect } from "@nats-io/transport-node";
import { describe, it } from "node:test";
import { assert, assertEquals, assertRejects } from "#assert";
import { openNatsBus } from "../../../src/backend/bus/nats_bus.ts";
import { HearthError } from "../../../src/protocol/errors.ts";
import { bounded, busSuite, hintOf, listenAt } from "../../conformance/bus.ts";
import { eventually } from "../../harness/eventually.ts";
import { startFaultProxy } from "../../harness/fault_proxy.ts";
import { findNatsServer, startNatsServer } from "../../harness/nats_server.ts";
import { freePort } from "../../harness/ports.ts";
import { requirement } from "../../require.ts";

const skip = requirement("nats", () => findNatsServer() ? undefined : "nats-server is not here");

const serversAt = (port: number) => [`127.0.0.1:${port}`];

describe("openNatsBus()", { skip }, () => {
  busSuite("nats", async () => {
    const server = await startNatsServer();
    const servers = serversAt(server.port);
    const stranger = await connect({ servers });
    return {
      join: () => openNatsBus({ servers, channel: "suite" }),
      inject: async (payload) => {
        stranger.publish("hearth.suite.hints", payload);
        await stranger.flush();
      },
      [Symbol.asyncDispose]: async () => {
        await stranger.close();
        await server[Symbol.asyncDispose]();
      },
    };
  });

  it("keeps channels apart", bounded, async () => {
    await using server = await startNatsServer();
    const servers = serversAt(server.port);
    await using one = await openNatsBus({ servers, channel: "one" });
    await using other = await openNatsBus({ servers, channel: "other" });
    await using third = await openNatsBus({ servers, channel: "other" });
    const [heard, expected] = [listenAt(other), listenAt(third)];
    one.publish([{ ledger: "acme/one", seq: 1 }]);
    other.publish([{ ledger: "acme/other", seq: 1 }]);
    await hintOf(expected, "acme/other");
    assertEquals(expected.hints.length, 1);
    assertEquals(heard.hints, []);
  });

  it(
    "keeps hints while the server is away, then sends them and tells of the gap",
    bounded,
    async () => {
      await using server = await startNatsServer();
      const servers = serversAt(server.port);
      await using one = await openNatsBus({ servers });
      await using two = await openNatsBus({ servers });
      const [own, ear] = [listenAt(one), listenAt(two)];
      await server.cut();
      one.publish([{ ledger: "acme/a", seq: 1 }]);
      one.tell({ ledger: "acme/a", from: "alice", body: Uint8Array.of(1) });
      await server.start();
      await eventually(() => assert(ear.gaps > 0 && own.gaps > 0), { on: [ear, own] });
      // The first may have left before the other end was there again: that is what its gap says.
      one.publish([{ ledger: "acme/b", seq: 1 }]);
      await hintOf(ear, "acme/b");
    },
  );

  it("notices a connection that has become a hole", bounded, async () => {
    await using server = await startNatsServer();
    await using proxy = await startFaultProxy({ target: server.port });
    await using far = await openNatsBus({ servers: serversAt(proxy.port), pingMs: 200 });
    await using near = await openNatsBus({ servers: serversAt(server.port) });
    const ear = listenAt(far);
    const { bytesUp } = proxy;
    await proxy.set("hole");
    await eventually(() => assert(proxy.bytesUp > bytesUp));
    await proxy.set("pass");
    await eventually(() => assert(ear.gaps > 0), { on: [ear] });
    near.publish([{ ledger: "acme/a", seq: 1 }]);
    await hintOf(ear, "acme/a");
  });

  it("can be left while the server is away", bounded, async () => {
    await using server = await startNatsServer();
    const bus = await openNatsBus({ servers: serversAt(server.port) });
    await server.cut();
    bus.publish([{ ledger: "acme/a", seq: 1 }]);
    await bus[Symbol.asyncDispose]();
  });

  it("refuses a server that is not there, and a channel that is no name", bounded, async () => {
    const servers = serversAt(await freePort());
    const error = await assertRejects(() => openNatsBus({ servers }));
    assertEquals(error instanceof HearthError && error.code, "UNAVAILABLE");
    const wrong = await assertRejects(() => openNatsBus({ servers, channel: "a.>" }));
    assert(wrong instanceof TypeError);
  });
});
