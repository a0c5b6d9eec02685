/** Refresh tokens: each is good once, and a stolen one is found out. */

import { describe, it } from "node:test";
import { assert, assertEquals, assertNotEquals } from "#assert";
import { createMemoryRegistry } from "../../src/backend/stores/memory_registry.ts";
import type { AuditDraft } from "../../src/sts/audit.ts";
import {
  beginSession,
  findSession,
  type Granted,
  sessionIdleMs,
  sessionMs,
} from "../../src/sts/sessions.ts";

const audit: AuditDraft = {
  at: 1,
  action: "token.exchanged",
  actor: "alice",
  target: "alice",
  detail: {},
};
const now = 1_000_000;
const order = { subject: "alice", ledgers: [{ id: "acme/todos", right: "write" as const }] };

async function scene() {
  const registry = createMemoryRegistry();
  const keep = async ({ write }: Granted): Promise<boolean> =>
    await registry.write([write], audit) !== undefined;
  const first = beginSession(order, now);
  assert(await keep(first));
  const find = (token: string, at: number) => findSession(registry, token, at);
  const next = async (token: string, at: number): Promise<Granted> => {
    const found = await find(token, at);
    if (found.kind !== "good") throw new Error(`the token is ${found.kind}`);
    return found.granted;
  };
  return { registry, keep, first, find, next };
}

describe("a refresh token", () => {
  it("brings another one, and is found out when it is used again later", async () => {
    const { keep, first, find, next } = await scene();
    const second = await next(first.refreshToken, now + 1);
    assertNotEquals(second.refreshToken, first.refreshToken);
    assert(await keep(second));
    assertEquals(second.session, { ...first.session });
    const reused = await find(first.refreshToken, now + 60_000);
    assertEquals([reused.kind, "session" in reused && reused.session.id], [
      "reused",
      first.session.id,
    ]);
  });

  it("may be used again at once by whom the answer did not reach", async () => {
    const { keep, first, find, next } = await scene();
    const lost = await next(first.refreshToken, now + 1);
    assert(await keep(lost));
    const again = await next(first.refreshToken, now + 2);
    assert(await keep(again));
    // What was lost is good no more: whoever has found it gives itself away.
    assertEquals((await find(lost.refreshToken, now + 3)).kind, "reused");
    assertEquals((await find(again.refreshToken, now + 3)).kind, "good");
  });

  it("gives one of two that use it at the same moment the next, and the other nothing", async () => {
    const { keep, first, next } = await scene();
    const both = await Promise.all([
      next(first.refreshToken, now + 1),
      next(first.refreshToken, now + 1),
    ]);
    const kept = await Promise.all(both.map(keep));
    assertEquals(kept.filter(Boolean).length, 1);
  });

  it("ends with its session: unused for a month, or half a year old", async () => {
    const { keep, first, find, next } = await scene();
    assertEquals((await find(first.refreshToken, now + sessionIdleMs)).kind, "none");
    let token = first.refreshToken;
    let at = now;
    while (at + sessionIdleMs - 1 < now + sessionMs) {
      at += sessionIdleMs - 1;
      const granted = await next(token, at);
      assert(await keep(granted));
      token = granted.refreshToken;
    }
    assertEquals((await find(token, now + sessionMs)).kind, "none");
  });

  it("is none when it has another form, place or kind", async () => {
    const { first, find } = await scene();
    const [kind, place, secret] = first.refreshToken.split(".");
    const wrong = [
      "",
      "hrt",
      `hin.${place}.${secret}`,
      `${kind}.${place}`,
      `${kind}.nowhere.${secret}`,
      `${first.refreshToken} `,
      `${first.refreshToken}\n`,
      `${kind}.${place}.${secret}.`,
      `${kind}.__proto__.${secret}`,
      "x".repeat(100_000),
    ];
    for (const token of wrong) assertEquals((await find(token, now)).kind, "none", token);
    const guess = `${kind}.${place}.${"A".repeat(22)}`;
    assertEquals((await find(guess, now)).kind, "reused");
  });
});
