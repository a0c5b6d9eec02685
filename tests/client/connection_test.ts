/** The connection as its callers see it: links come and go, calls and statuses follow. */

import { test } from "node:test";
import { assert, assertEquals, assertRejects } from "#assert";
import { HearthError } from "../../src/protocol/errors.ts";
import { eventually } from "../harness/eventually.ts";
import { recordWatch } from "./support/record_watch.ts";
import { Scene, silence } from "./support/scripted_server.ts";

const ledger = "acme/todos";
const position = "epoch1234.5";
const nothingNew = {
  after: position,
  cursor: position,
  reset: false,
  metas: [],
  keys: [],
  blobs: [],
  more: false,
};

test("calls made in one turn go in one message", async () => {
  const scene = new Scene();
  await using client = scene.connect();
  await scene.settle();
  await Promise.all([1, 2, 3].map(() => client.call("missing", { ledger })));
  assertEquals(scene.link.messages, [["missing", "missing", "missing"]]);
});

test("a message holds no more than the server takes, nor does a single call", async () => {
  const scene = new Scene();
  scene.session = {
    ...scene.session,
    limits: { ...scene.session.limits, messageBytes: 1000 },
  };
  await using client = scene.connect();
  await scene.settle();
  const bytes = new Uint8Array(300);
  const put = () => client.call("putWal", { ledger, name: "w", version: 0, bytes });
  scene.script.putWal = () => ({ version: 1 });
  await Promise.all([1, 2, 3, 4].map(put));
  assertEquals(scene.link.messages.map((names) => names.length), [2, 2]);
  const error = await assertRejects(() =>
    client.call("putWal", { ledger, name: "w", version: 0, bytes: new Uint8Array(1000) })
  );
  assert(error instanceof HearthError);
  assertEquals(error.code, "TOO_LARGE");
});

test("a call survives the loss of its link", async () => {
  const scene = new Scene({ getWal: () => silence });
  await using client = scene.connect();
  const call = client.call("getWal", { ledger, name: "w" });
  await scene.settle();
  assertEquals(scene.paramsOf("getWal").length, 1);
  scene.script.getWal = () => ({ version: 3, bytes: null });
  scene.link.transport.close(1006);
  await scene.settle();
  assertEquals(client.status.state, "waiting");
  await scene.pass(1000);
  assertEquals((await call).version, 3);
  assertEquals(scene.links.length, 2);
});

test("a server that beats but does not answer is left for another link", async () => {
  const scene = new Scene({ getWal: () => silence });
  await using client = scene.connect();
  const call = client.call("getWal", { ledger, name: "w" });
  await scene.pass(25_000);
  assertEquals(scene.links.length, 1);
  assert(scene.link.pings > 0);
  scene.script.getWal = () => ({ version: 3, bytes: null });
  await scene.pass(10_000);
  assertEquals((await call).version, 3);
  assertEquals(scene.links.length, 2);
});

test("what is under way is bounded, so that heartbeats get through", async () => {
  const scene = new Scene({ putWal: () => silence });
  const client = scene.connect();
  await scene.settle();
  const bytes = new Uint8Array(60_000);
  const calls = Array.from({ length: 100 }, () => {
    return assertRejects(() => client.call("putWal", { ledger, name: "w", version: 0, bytes }));
  });
  await scene.settle();
  const arrived = scene.paramsOf("putWal").length;
  assert(arrived * 60_000 < 4 << 20, `${arrived} arrived`);
  assert(arrived * 60_000 > 1 << 20, `${arrived} arrived`);
  await client.close();
  await Promise.all(calls);
});

test("a ping goes ahead of a larger message on a socket, and of no other", async () => {
  for (const via of ["websocket", "http"] as const) {
    const scene = new Scene({ putWal: () => ({ version: 1 }) });
    await using client = scene.connect({ transport: via });
    const put = (size: number) =>
      client.call("putWal", { ledger, name: "w", version: 0, bytes: new Uint8Array(size) });
    await put(500);
    assertEquals(scene.link.pings, 0);
    await put(1500);
    assertEquals(scene.link.pings, via === "websocket" ? 1 : 0);
  }
});

test("tell is sent at most once", async () => {
  const scene = new Scene({ tell: () => silence });
  await using client = scene.connect();
  const early = await assertRejects(() => client.tell(ledger, new Uint8Array(1)));
  assert(early instanceof HearthError);
  assertEquals(early.code, "CLOSED");
  await scene.settle();
  const told = assertRejects(() => client.tell(ledger, new Uint8Array(1)));
  await scene.settle();
  scene.link.transport.close(1006);
  assertEquals((await told as HearthError).code, "CLOSED");
  await scene.pass(1000);
  assertEquals(scene.paramsOf("tell").length, 1);
});

test("an error that time cures is tried again, when the server says", async () => {
  let asked = 0;
  const scene = new Scene({
    missing: () =>
      ++asked === 1
        ? new HearthError("RATE_LIMITED", "Too much", { details: { retryAfterMs: 7_000 } })
        : { blobs: [] },
  });
  await using client = scene.connect();
  const call = client.call("missing", { ledger });
  await scene.pass(6_000);
  assertEquals(asked, 1);
  await scene.pass(2_000);
  assertEquals((await call).blobs, []);
  assertEquals(asked, 2);
});

test("an error that nothing cures rejects at once; a signal ends the waiting", async () => {
  const scene = new Scene({ missing: () => new HearthError("FORBIDDEN", "No") });
  await using client = scene.connect();
  const error = await assertRejects(() => client.call("missing", { ledger }));
  assertEquals((error as HearthError).code, "FORBIDDEN");
  scene.script.missing = () => silence;
  const abort = new AbortController();
  const call = assertRejects(() => client.call("missing", { ledger }, { signal: abort.signal }));
  await scene.settle();
  abort.abort(new Error("enough"));
  assertEquals((await call).message, "enough");
});

test("where there is no socket HTTP serves, until the socket is back", async () => {
  const scene = new Scene({ watch: () => nothingNew });
  scene.script.poll = async ({ waitMs }) => {
    if (waitMs) await new Promise((resolve) => scene.clock.after(waitMs, () => resolve(undefined)));
    return { changes: nothingNew, told: [] };
  };
  scene.blocked.add("websocket");
  await using client = scene.connect();
  const watch = recordWatch(client, ledger, { cursor: position });
  await scene.settle();
  assert(client.status.state === "open");
  assertEquals(client.status.via, "http");
  assertEquals(watch.isLive, true);

  await scene.pass(60_000, 5_000);
  assertEquals(client.status.via, "http");
  scene.blocked.delete("websocket");
  await scene.pass(40_000, 5_000);
  assertEquals(client.status.via, "websocket");
  assertEquals(scene.links.filter(({ closed }) => !closed).length, 1);
  await client.call("missing", { ledger });
  assertEquals(scene.paramsOf("watch"), [{ ledger, cursor: position, inventory: false }]);
  assertEquals(watch.isLive, true);
  assertEquals(watch.changes, []);
});

test("a socket on which the hello is not answered counts as none", async () => {
  const scene = new Scene();
  scene.script.hello = (_, { via }) => via === "http" ? scene.session : silence;
  await using client = scene.connect();
  await scene.pass(5_000);
  assert(client.status.state === "open");
  assertEquals(client.status.via, "http");
  assertEquals(scene.links[0]?.closed, true);
});

test("a link that falls silent is doubted, given up, and replaced", async () => {
  const scene = new Scene({ watch: () => nothingNew });
  await using client = scene.connect();
  const watch = recordWatch(client, ledger, { cursor: position });
  await scene.settle();
  assertEquals(watch.isLive, true);
  const first = scene.link;
  await scene.pass(35_000);
  assert(first.pings >= 2);
  assertEquals(watch.lives, [true]);
  first.hole = true;
  await scene.pass(16_000);
  assertEquals(first.closed, true);
  await scene.pass(1_000);
  assertEquals(scene.links.length, 2);
  assertEquals(watch.lives, [true, false, true]);
  assertEquals(client.status.state, "open");
});

test("the server's ping is answered at once", async () => {
  const scene = new Scene();
  await using _client = scene.connect();
  await scene.settle();
  scene.link.notify("ping", {});
  await eventually(() => assertEquals(scene.link.pongs, 1));
});

test("when the network goes the link is doubted, when it comes back it is dialled at once", async () => {
  const scene = new Scene({ watch: () => nothingNew });
  await using client = scene.connect();
  const watch = recordWatch(client, ledger, { cursor: position });
  await scene.settle();
  scene.network.dispatchEvent(new Event("offline"));
  assertEquals(watch.lives, [true, false]);
  await scene.settle();
  // The pong came: a false alarm.
  assertEquals(watch.lives, [true, false, true]);
  assertEquals(scene.links.length, 1);

  scene.blocked.add("websocket").add("http");
  scene.link.transport.close(1006);
  await scene.pass(60_000);
  assertEquals(client.status.state, "waiting");
  scene.blocked.clear();
  scene.network.dispatchEvent(new Event("online"));
  await scene.settle();
  assertEquals(client.status.state, "open");
});

test("a token function is asked again after a refusal, a constant token waits", async () => {
  const tokens: unknown[] = [];
  const scene = new Scene();
  scene.script.hello = ({ token }) => {
    tokens.push(token);
    return token === "good" ? scene.session : new HearthError("UNAUTHENTICATED", "Expired");
  };
  const brought = ["bad", "good"];
  await using renewed = scene.connect({ token: () => brought.shift() ?? "none" });
  await scene.pass(1_000);
  assertEquals(renewed.status.state, "open");
  assertEquals(tokens, ["bad", "good"]);

  await using constant = scene.connect({ token: "bad" });
  await scene.settle();
  assertEquals(constant.status.state, "denied");
  const waiting = constant.call("missing", { ledger });
  await scene.pass(59_000);
  assertEquals(tokens.length, 3);
  scene.script.hello = () => scene.session;
  await scene.pass(20_000);
  assertEquals((await waiting).blobs, []);
});

test("a call that finds the token refused makes the client bring another", async () => {
  let asked = 0;
  const scene = new Scene();
  await using client = scene.connect({ token: () => `token ${++asked}` });
  scene.script.getWal = (_, link) =>
    link === scene.links[0]
      ? new HearthError("UNAUTHENTICATED", "Revoked")
      : { version: 0, bytes: null };
  const call = client.call("getWal", { ledger, name: "w" });
  await scene.pass(1_000);
  assertEquals((await call).version, 0);
  assertEquals(asked, 2);
});

test("a fresh token is brought to the live socket before the one in force ends", async () => {
  let asked = 0;
  const scene = new Scene();
  const lives: string[] = [];
  // A slow heart, so that the test may take long steps.
  const heartbeatMs = 10_000_000;
  scene.session = { ...scene.session, heartbeatMs, expiresAt: scene.clock.now() + 3_600_000 };
  scene.script.auth = ({ token }) => {
    lives.push(token);
    return { expiresAt: scene.clock.now() + 3_600_000 };
  };
  await using client = scene.connect({ token: () => `token ${++asked}` });
  await scene.pass(3_530_000, 60_000);
  assertEquals(lives, []);
  await scene.pass(20_000);
  assertEquals(lives, ["token 2"]);
  await scene.pass(3_600_000, 60_000);
  assertEquals(lives, ["token 2", "token 3"]);
  assertEquals(scene.links.length, 1);
  assertEquals(client.status.state, "open");
});

test("a token of years does not make its timer fire at once", async () => {
  let asked = 0;
  const scene = new Scene();
  await using _client = scene.connect({ token: () => `token ${++asked}` });
  await scene.pass(1_000);
  assertEquals(asked, 1);
});

test("after a closing notice the client comes back when it was told to", async () => {
  const scene = new Scene();
  await using client = scene.connect();
  await scene.settle();
  scene.link.notify("closing", { resumeAfterMs: 2_500 });
  scene.link.transport.close(1001, "going away");
  await scene.pass(2_400, 100);
  assertEquals(scene.links.length, 1);
  assertEquals(client.status.state, "waiting");
  await scene.pass(500, 100);
  assertEquals(scene.links.length, 2);
});

test("when too much is pending the caller is told at once", async () => {
  const scene = new Scene();
  scene.blocked.add("websocket").add("http");
  const client = scene.connect();
  const calls = Array.from({ length: 4096 }, () => client.call("missing", { ledger }));
  const error = await assertRejects(() => client.call("missing", { ledger }));
  assertEquals((error as HearthError).code, "RATE_LIMITED");
  await client.close();
  const outcomes = await Promise.allSettled(calls);
  assert(outcomes.every((it) => it.status === "rejected" && it.reason.code === "CLOSED"));
});

test("after close nothing is left: no link, no timer, no waiting call", async () => {
  const scene = new Scene({ missing: () => silence, watch: () => nothingNew });
  const abort = new AbortController();
  const client = scene.connect({ signal: abort.signal, token: () => "t" });
  const watch = recordWatch(client, ledger, { cursor: position });
  const call = assertRejects(() => client.call("missing", { ledger }));
  await scene.settle();
  abort.abort();
  assertEquals((await call as HearthError).code, "CLOSED");
  assertEquals(client.status.state, "closed");
  assertEquals(watch.isLive, false);
  await scene.settle();
  assertEquals(scene.links.map(({ closed }) => closed), [true]);
  assertEquals(scene.timers, 0);
  assertEquals(scene.network.listeners, 0);
  await assertRejects(() => client.call("missing", { ledger }));
});
