/** What every Bus must do, whatever carries its messages. */

import { describe, it } from "node:test";
import { assert, assertEquals } from "#assert";
import type { Bus, BusListener, BusTold, Hint } from "../../src/backend/bus/bus.ts";
import { eventually } from "../harness/eventually.ts";

/** Generous, since the machine may be busy; one runtime's own bound is five seconds. */
export const bounded = { timeout: 120_000 };

/** A bus on which nobody is yet. */
export interface BusScene extends AsyncDisposable {
  join(): Promise<Bus>;
  /** Sends something to all ends that no bus has made. */
  inject(payload: string): Promise<void>;
}

/** What an end has heard. */
export interface Ear extends BusListener {
  readonly hints: Hint[];
  readonly told: BusTold[];
  readonly messages: (readonly Hint[])[];
  gaps: number;
  /** Wakes those who wait. */
  onEvent(listener: () => void): () => void;
}

/** Listens at an end. */
export function listenAt(bus: Bus): Ear & { readonly stop: () => void } {
  const wakes = new Set<() => void>();
  const wake = () => wakes.forEach((it) => it());
  const ear: Ear = {
    hints: [],
    told: [],
    messages: [],
    gaps: 0,
    onHints(hints) {
      ear.messages.push(hints);
      ear.hints.push(...hints);
      wake();
    },
    onTold(told) {
      ear.told.push(told);
      wake();
    },
    onGap() {
      ear.gaps++;
      wake();
    },
    onEvent(listener) {
      wakes.add(listener);
      return () => wakes.delete(listener);
    },
  };
  return Object.assign(ear, { stop: bus.subscribe(ear) });
}

/** Waits for a hint of a ledger. */
export async function hintOf(ear: Ear, ledger: string): Promise<Hint> {
  return await eventually(() => {
    const found = ear.hints.find((it) => it.ledger === ledger);
    assert(found, `no hint of ${ledger} has come`);
    return found;
  }, { on: [ear] });
}

/** Declares the suite. @param open makes a bus of its own */
export function busSuite(name: string, open: () => Promise<BusScene>): void {
  describe(`${name} as Bus`, () => {
    it("brings hints to every other end and not to its own", bounded, async () => {
      await using scene = await open();
      await using one = await scene.join();
      await using two = await scene.join();
      await using three = await scene.join();
      const ears = [one, two, three].map(listenAt);
      one.publish([{ ledger: "acme/a", seq: 1 }]);
      two.publish([{ ledger: "acme/b", seq: Number.MAX_SAFE_INTEGER, keys: true }]);
      const [first, second, third] = ears;
      assert(first && second && third);
      await hintOf(first, "acme/b");
      await hintOf(second, "acme/a");
      await Promise.all([hintOf(third, "acme/a"), hintOf(third, "acme/b")]);
      assertEquals(first.hints, [
        { ledger: "acme/b", seq: Number.MAX_SAFE_INTEGER, keys: true },
      ]);
      assertEquals(second.hints, [{ ledger: "acme/a", seq: 1, keys: false }]);
      assertEquals(third.hints.length, 2);
    });

    it("joins the hints of one turn, of each ledger the furthest alone", bounded, async () => {
      await using scene = await open();
      await using one = await scene.join();
      await using two = await scene.join();
      const ear = listenAt(two);
      one.publish([{ ledger: "acme/a", seq: 3 }]);
      one.publish([{ ledger: "acme/a", seq: 2, keys: true }, { ledger: "acme/b", seq: 1 }]);
      one.publish([{ ledger: "acme/a", seq: 1 }]);
      await hintOf(ear, "acme/b");
      assertEquals(ear.messages, [[
        { ledger: "acme/a", seq: 3, keys: true },
        { ledger: "acme/b", seq: 1, keys: false },
      ]]);
      await eventually(() => assertEquals(one.counts.sent, 1));
      assertEquals(two.counts.received, 1);
    });

    it("splits what one message cannot hold", bounded, async () => {
      await using scene = await open();
      await using one = await scene.join();
      await using two = await scene.join();
      const ear = listenAt(two);
      const hints = Array.from({ length: 3000 }, (_, at) => ({
        ledger: `${"t".repeat(64)}/${"l".repeat(50)}-${at}`,
        seq: at,
        keys: false,
      }));
      one.publish(hints);
      await eventually(() => assertEquals(ear.hints.length, hints.length), { on: [ear] });
      assertEquals(ear.hints, hints);
      assert(ear.messages.length > 1);
      assertEquals(one.counts.dropped, 0);
    });

    it("passes ephemeral messages on, byte for byte and in order", bounded, async () => {
      await using scene = await open();
      await using one = await scene.join();
      await using two = await scene.join();
      const ear = listenAt(two);
      const all = Array.from({ length: 20 }, (_, at) => ({
        ledger: "acme/a",
        from: `somebody ü ${at}`,
        body: Uint8Array.from({ length: at * 100 }, (_, it) => it + at),
      }));
      for (const told of all) one.tell(told);
      await eventually(() => assertEquals(ear.told.length, all.length), { on: [ear] });
      assertEquals(ear.told.map((it) => ({ ...it, body: new Uint8Array(it.body) })), all);
    });

    it("drops an ephemeral message that fits into none, and counts it", bounded, async () => {
      await using scene = await open();
      await using one = await scene.join();
      await using two = await scene.join();
      const ear = listenAt(two);
      one.tell({ ledger: "acme/a", from: "alice", body: new Uint8Array(1 << 20) });
      one.tell({ ledger: "acme/a", from: "alice", body: Uint8Array.of(1) });
      await eventually(() => assertEquals(ear.told.length, 1), { on: [ear] });
      assertEquals(one.counts.dropped, 1);
    });

    it("tells all listeners of an end, until they stop", bounded, async () => {
      await using scene = await open();
      await using one = await scene.join();
      await using two = await scene.join();
      const [first, second] = [listenAt(two), listenAt(two)];
      one.publish([{ ledger: "acme/a", seq: 1 }]);
      await Promise.all([hintOf(first, "acme/a"), hintOf(second, "acme/a")]);
      first.stop();
      one.publish([{ ledger: "acme/b", seq: 1 }]);
      await hintOf(second, "acme/b");
      assertEquals(first.hints.length, 1);
    });

    it("ignores what is no message, counts it, and goes on", bounded, async () => {
      await using scene = await open();
      await using one = await scene.join();
      await using two = await scene.join();
      const ear = listenAt(two);
      const strange = ["", "nonsense", "gA==", '{"instance":"x"}'];
      for (const payload of strange) await scene.inject(payload);
      await eventually(() => assertEquals(two.counts.malformed, strange.length));
      one.publish([{ ledger: "acme/a", seq: 1 }]);
      await hintOf(ear, "acme/a");
      assertEquals([ear.hints.length, ear.told.length, ear.gaps], [1, 0, 0]);
    });

    it("sends what waits when it is left, and nothing after", bounded, async () => {
      await using scene = await open();
      const one = await scene.join();
      await using two = await scene.join();
      const [own, ear] = [listenAt(one), listenAt(two)];
      one.publish([{ ledger: "acme/a", seq: 1 }]);
      await one[Symbol.asyncDispose]();
      one.publish([{ ledger: "acme/late", seq: 1 }]);
      one.tell({ ledger: "acme/late", from: "alice", body: Uint8Array.of(1) });
      await one[Symbol.asyncDispose]();
      await hintOf(ear, "acme/a");
      await using three = await scene.join();
      three.publish([{ ledger: "acme/b", seq: 1 }]);
      await hintOf(ear, "acme/b");
      assertEquals(ear.hints.map((it) => it.ledger), ["acme/a", "acme/b"]);
      assertEquals([ear.told.length, own.hints.length], [0, 0]);
    });
  });
}
