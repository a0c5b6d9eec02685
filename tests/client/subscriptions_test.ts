/** Watches: in order, without a gap, over any number of links, on a socket and over HTTP. */

import { test } from "node:test";
import { assert, assertEquals } from "#assert";
import { HearthError } from "../../src/protocol/errors.ts";
import { eventually } from "../harness/eventually.ts";
import { seededRandom, testSeed } from "../random.ts";
import { recordWatch } from "./support/record_watch.ts";
import { ScriptedLedger } from "./support/scripted_ledger.ts";
import { Scene } from "./support/scripted_server.ts";

const name = "acme/todos";

function makeScene(): { scene: Scene; ledger: ScriptedLedger } {
  const ledger = new ScriptedLedger();
  const scene = new Scene();
  scene.script.watch = ({ cursor }) => ledger.read(cursor);
  scene.script.poll = async ({ cursor, waitMs = 0 }) => {
    let changes = ledger.read(cursor);
    if (waitMs > 0 && !(changes instanceof HearthError) && changes.after === changes.cursor) {
      await new Promise<void>((resolve) => scene.clock.after(waitMs, resolve));
      changes = ledger.read(cursor);
    }
    return changes instanceof HearthError ? changes : { changes, told: [] };
  };
  return { scene, ledger };
}

test("a watch begins with the heads and goes on with what is told", async () => {
  const { scene, ledger } = makeScene();
  ledger.add(2);
  await using client = scene.connect();
  const watch = recordWatch(client, name);
  await watch.live();
  assertEquals(watch.changes[0]?.reset, true);
  assertEquals(watch.metas(), ledger.cids);
  scene.link.notify("metas", { ledger: name, ...ledger.add() });
  await scene.settle();
  assertEquals(watch.metas(), ledger.cids);
  assertEquals(watch.cursor, ledger.cursor());
});

test("after the loss of the link it resumes at its cursor", async () => {
  const { scene, ledger } = makeScene();
  ledger.add(2);
  await using client = scene.connect();
  const watch = recordWatch(client, name);
  await watch.live();
  scene.link.transport.close(1006);
  ledger.add(3);
  await scene.pass(1000);
  assertEquals(scene.paramsOf("watch").map(({ cursor }) => cursor), [undefined, ledger.cursor(2)]);
  assertEquals(watch.metas(), ledger.cids);
  assertEquals(watch.lives, [true, false, true]);
  watch.checkOrder();
});

test("what does not follow the position is asked for again", async () => {
  const { scene, ledger } = makeScene();
  await using client = scene.connect();
  const watch = recordWatch(client, name);
  await watch.live();
  ledger.add(3);
  scene.link.notify("metas", { ledger: name, ...ledger.between(2, 3) });
  await scene.settle();
  assertEquals(scene.paramsOf("watch").map(({ cursor }) => cursor), [undefined, ledger.cursor(0)]);
  assertEquals(watch.metas(), ledger.cids);
  watch.checkOrder();
});

test("what is known already is not told twice, but keys without a meta are told", async () => {
  const { scene, ledger } = makeScene();
  ledger.add(2);
  await using client = scene.connect();
  const watch = recordWatch(client, name);
  await watch.live();
  scene.link.notify("metas", { ledger: name, ...ledger.between(0, 2) });
  scene.link.notify("metas", { ledger: name, ...ledger.between(2, 2) });
  await scene.settle();
  assertEquals(watch.changes.length, 1);
  scene.link.notify("metas", { ledger: name, ...ledger.between(2, 2), keys: ["new"] });
  await scene.settle();
  assertEquals(watch.changes.at(-1)?.keys, ["new"]);
  assertEquals(scene.paramsOf("watch").length, 1);
});

for (const via of ["websocket", "http"] as const) {
  test(`${via}: a cursor of another history starts again with the heads`, async () => {
    const { scene, ledger } = makeScene();
    ledger.add(4);
    if (via === "http") scene.blocked.add("websocket");
    await using client = scene.connect();
    const watch = recordWatch(client, name, { cursor: "otherepoch.9" });
    await scene.pass(1000);
    assertEquals(watch.changes.map(({ reset }) => reset), [true]);
    assertEquals(watch.metas(), ledger.cids);
    // The store is put back: its history has another name from now on.
    ledger.epoch = "epoch5678";
    ledger.metas.length = 2;
    scene.link.transport.close(1006);
    await scene.pass(5000);
    assertEquals(watch.cursor, ledger.cursor(2));
    assertEquals(watch.changes.map(({ reset }) => reset), [true, true]);
    assertEquals(watch.isLive, true);
  });

  test(`${via}: what comes in pieces is put together before the watch is live`, async () => {
    const { scene, ledger } = makeScene();
    ledger.add(10);
    if (via === "http") scene.blocked.add("websocket");
    scene.script.watch = ({ cursor }, link) => {
      // What lies behind the answer follows it at once.
      setTimeout(() => {
        for (const from of [4, 7]) {
          link.notify("metas", { ledger: name, ...ledger.between(from, from + 3) });
        }
      });
      return ledger.read(cursor, 4);
    };
    const poll = scene.script.poll;
    scene.script.poll = (params, link) => {
      const changes = ledger.read(params.cursor, 4);
      if (changes instanceof HearthError) return changes;
      if (changes.metas.length > 0 || !poll) return { changes, told: [] };
      return poll(params, link);
    };
    await using client = scene.connect();
    const watch = recordWatch(client, name, { cursor: ledger.cursor(0) });
    await watch.live();
    assertEquals(watch.metas(), ledger.cids);
    assert(watch.changes.length > 1);
    watch.checkOrder();
  });

  test(`${via}: two watches on one ledger both get everything`, async () => {
    const { scene, ledger } = makeScene();
    ledger.add(5);
    if (via === "http") scene.blocked.add("websocket");
    await using client = scene.connect();
    const first = recordWatch(client, name, { cursor: ledger.cursor(4) });
    await first.live();
    const second = recordWatch(client, name, { cursor: ledger.cursor(1) });
    await second.live();
    assertEquals(first.metas(), ledger.cids.slice(4));
    assertEquals(second.metas(), ledger.cids.slice(1));
    const third = recordWatch(client, name);
    await third.live();
    assertEquals(third.metas(), ledger.cids);
    const more = ledger.add();
    if (via === "websocket") scene.link.notify("metas", { ledger: name, ...more });
    else await scene.pass(11_000);
    await scene.settle();
    for (const watch of [first, second, third]) {
      assertEquals(watch.cursor, ledger.cursor());
      assertEquals(watch.metas().at(-1), ledger.cids.at(-1));
    }
    first.close();
    second.close();
    third.close();
    await scene.settle();
    assertEquals(scene.paramsOf("unwatch").length, via === "websocket" ? 1 : 0);
  });
}

test("watches at different cursors are served by one question, from the one furthest back", async () => {
  for (const cursors of [[1, 4], [4, 1]]) {
    const { scene, ledger } = makeScene();
    ledger.add(6);
    scene.blocked.add("websocket").add("http");
    await using client = scene.connect();
    const watches = cursors.map((seq) => recordWatch(client, name, { cursor: ledger.cursor(seq) }));
    scene.blocked.clear();
    await scene.pass(2_000);
    assertEquals(scene.paramsOf("watch").map(({ cursor }) => cursor), [ledger.cursor(1)]);
    for (const watch of watches) {
      assertEquals(watch.cursor, ledger.cursor());
      assertEquals(watch.isLive, true);
    }
  }
});

test("a server whose answers lead nowhere is not asked in a circle", async () => {
  const { scene, ledger } = makeScene();
  ledger.add(9);
  scene.script.watch = () => ledger.between(5, 9);
  await using client = scene.connect();
  const watch = recordWatch(client, name, { cursor: ledger.cursor(2) });
  await scene.pass(10_000, 50);
  const asked = scene.paramsOf("watch").length;
  assert(asked > 2 && asked < 10, `asked ${asked} times`);
  assertEquals(watch.changes, []);
  assertEquals(watch.lives, []);
});

test("one delivery waits for the other, and a slow owner bounds what waits", async () => {
  const { scene, ledger } = makeScene();
  await using client = scene.connect();
  let release = Promise.withResolvers<void>();
  let running = 0;
  const watch = recordWatch(client, name, {}, async () => {
    assertEquals(++running, 1, "two deliveries at once");
    await release.promise;
    running--;
  });
  await eventually(() => assertEquals(watch.changes.length, 1));
  // 12 MiB are told while the first delivery is held up.
  for (let count = 0; count < 12; count++) {
    scene.link.notify("metas", { ledger: name, ...ledger.add(16, 65_000) });
  }
  await scene.settle();
  assertEquals(watch.changes.length, 1);
  release.resolve();
  release = Promise.withResolvers();
  release.resolve();
  await eventually(() => assertEquals(watch.cursor, ledger.cursor()));
  assertEquals(watch.metas(), ledger.cids);
  watch.checkOrder();
  const asked = scene.paramsOf("watch").map(({ cursor }) => cursor);
  assertEquals(asked.length, 2);
  // What fitted into the bound was kept: it is not asked for a second time.
  assert(asked[1] !== ledger.cursor(0) && asked[1] !== undefined);
  assertEquals(watch.isLive, true);
});

test("a watch that is refused is over, and the others go on", async () => {
  const { scene, ledger } = makeScene();
  const read = scene.script.watch;
  scene.script.watch = (params, link) =>
    params.ledger === name
      ? read?.(params, link) ?? ledger.read(undefined)
      : new HearthError("FORBIDDEN", "Not yours");
  await using client = scene.connect();
  const refused = recordWatch(client, "other/ledger");
  const watch = recordWatch(client, name);
  await watch.live();
  await eventually(() => assertEquals(refused.errors.map(({ code }) => code), ["FORBIDDEN"]));
  assertEquals(refused.lives, []);
});

test("a closed watch is told nothing more, also in the middle of a delivery", async () => {
  const { scene, ledger } = makeScene();
  const abort = new AbortController();
  await using client = scene.connect();
  const first = recordWatch(client, name, { signal: abort.signal });
  await first.live();
  scene.link.notify("metas", { ledger: name, ...ledger.add() });
  scene.link.notify("metas", { ledger: name, ...ledger.add() });
  abort.abort();
  await scene.settle();
  assertEquals(first.metas(), []);
  // The same ledger can be watched again.
  const second = recordWatch(client, name);
  await second.live();
  assertEquals(second.metas(), ledger.cids);
});

test(
  "whatever happens to the link, nothing is missed and the order holds",
  { timeout: 120_000 },
  async () => {
    const seed = testSeed();
    const random = seededRandom(seed);
    for (let run = 0; run < 8; run++) {
      const { scene, ledger } = makeScene();
      const limit = 1 + random.below(6);
      scene.script.watch = ({ cursor }, link) => {
        const answer = ledger.read(cursor, limit);
        if (answer instanceof HearthError || answer.reset || !answer.more) return answer;
        const start = Number(answer.cursor.split(".")[1]);
        setTimeout(() => {
          link.notify("metas", { ledger: name, ...ledger.between(start, ledger.metas.length) });
        });
        return answer;
      };
      await using client = scene.connect();
      const watches = [
        recordWatch(client, name),
        recordWatch(client, name, { cursor: ledger.cursor(0) }),
      ];
      for (let count = 0; count < 30; count++) {
        const told = ledger.add(1 + random.below(3));
        const what = random.below(6);
        const link = scene.links.at(-1);
        // Told, lost on the way, told twice, or the link breaks, or HTTP has to do.
        if (what < 3 && link?.via === "websocket") link.notify("metas", { ledger: name, ...told });
        if (what === 3) link?.transport.close(1006);
        if (what === 4 && link?.via === "websocket") {
          link.notify("metas", { ledger: name, ...told });
          link.notify("metas", { ledger: name, ...told });
        }
        if (what === 5) scene.blocked[random.below(2) ? "add" : "delete"]("websocket");
        await scene.pass(random.below(3) * 500, 500);
      }
      const last = ledger.add();
      scene.blocked.clear();
      await scene.pass(20_000, 2_000);
      scene.links.at(-1)?.notify("metas", { ledger: name, ...last });
      for (const watch of watches) {
        await eventually(() =>
          assertEquals(watch.cursor, ledger.cursor(), `seed ${seed}, run ${run}`)
        );
        assertEquals(new Set(watch.metas()), new Set(ledger.cids), `seed ${seed}, run ${run}`);
        // Repeats are allowed, a step back is: but never a step over something.
        let seen = 0;
        for (const { after, reset, cursor } of watch.changes) {
          const from = reset ? 0 : Number(after?.split(".")[1]);
          assert(from <= seen, `seed ${seed}, run ${run}: ${from} after ${seen}`);
          seen = Math.max(seen, Number(cursor.split(".")[1]));
        }
      }
    }
  },
);
