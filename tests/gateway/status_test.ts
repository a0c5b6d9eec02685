/** What an app is told about its sync. */

import { test } from "node:test";
import { assertEquals } from "#assert";
import { type Status, StatusHolder } from "../../src/gateway/status.ts";
import { HearthError } from "../../src/protocol/errors.ts";

test("listeners hear of changes alone, and `since` moves with the state alone", () => {
  let now = 1;
  const holder = new StatusHolder(() => now++);
  const heard: Status[] = [];
  const stop = holder.listen((status) => heard.push(status));
  holder.update({ state: "syncing", pending: 1 });
  holder.update({ state: "syncing", pending: 1 });
  holder.update({ state: "syncing", pending: 2 });
  holder.update({ state: "synced", pending: 0 });
  stop();
  holder.update({ state: "closed", pending: 0 });
  assertEquals(heard, [
    { state: "syncing", pending: 1, since: 2 },
    { state: "syncing", pending: 2, since: 2 },
    { state: "synced", pending: 0, since: 3 },
  ]);
  assertEquals(holder.value, { state: "closed", pending: 0, since: 4 });
});

test("a new reason is a change, and goes with its state", () => {
  const holder = new StatusHolder(() => 0);
  const error = new HearthError("FORBIDDEN", "Cannot write");
  const heard: (string | undefined)[] = [];
  holder.listen((status) => heard.push(status.error?.code));
  holder.update({ state: "denied", pending: 1, error });
  holder.update({ state: "denied", pending: 1, error: new HearthError("UNAUTHENTICATED", "No") });
  holder.update({ state: "synced", pending: 0 });
  assertEquals(heard, ["FORBIDDEN", "UNAUTHENTICATED", undefined]);
});

test("a listener that stops others while it is told disturbs nobody", () => {
  const holder = new StatusHolder(() => 0);
  const heard: string[] = [];
  const stops = ["a", "b"].map((name) =>
    holder.listen(() => {
      heard.push(name);
      for (const stop of stops) stop();
    })
  );
  holder.update({ state: "syncing", pending: 0 });
  holder.update({ state: "synced", pending: 0 });
  assertEquals(heard, ["a", "b"]);
});
