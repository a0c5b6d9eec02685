/** What is left of a token: what was revoked, and what the database lets its subject do. */

import { describe, it } from "node:test";
import { assertEquals } from "#assert";
import { createMemoryRegistry } from "../../src/backend/stores/memory_registry.ts";
import type { AuditDraft } from "../../src/sts/audit.ts";
import { Authority } from "../../src/sts/authority.ts";
import { memberKey, tenantKey } from "../../src/sts/members.ts";
import type { RecordWrite, Registry } from "../../src/sts/registry.ts";
import { type RevocationKind, toRecord } from "../../src/sts/revocations.ts";
import type { Identity } from "../../src/sts/verify.ts";
import { assertFails } from "../harness/assert_fails.ts";
import { createFakeClock } from "../harness/fake_clock.ts";

const audit: AuditDraft = {
  at: 1,
  action: "member.changed",
  actor: "operator",
  target: "acme",
  detail: {},
};
const minute = 60_000;

function identityOf(given: Partial<Identity> = {}): Identity {
  return {
    subject: "alice",
    tokenId: "token-1",
    session: "session-1",
    issuedAt: 1_000,
    expiresAt: 100 * minute,
    grants: new Map([["acme/todos", "write"], ["umbrella/notes", "admin"]]),
    ...given,
  };
}

async function scene() {
  const registry = createMemoryRegistry();
  const clock = createFakeClock(2_000);
  const authority = new Authority({ registry, clock });
  await authority.start();
  return {
    registry,
    authority,
    clock,
    write: async (...writes: readonly RecordWrite[]) => {
      await registry.write(writes, audit);
      await authority.refresh();
    },
    grants: async (identity = identityOf()) =>
      Object.fromEntries((await authority.judge(identity)).grants),
    [Symbol.asyncDispose]: async () => {
      await authority[Symbol.asyncDispose]();
      await registry[Symbol.asyncDispose]();
    },
  };
}

function revocation(kind: RevocationKind, name: string, issuedUpTo = 1_000): RecordWrite {
  return toRecord({ kind, name, issuedUpTo, endsAt: 100 * minute });
}

const member = (tenant: string, subject: string, value: object): RecordWrite => ({
  ...memberKey(tenant, subject),
  value: JSON.stringify(value),
});
const managed = (tenant: string): RecordWrite => ({ ...tenantKey(tenant), value: "{}" });

describe("a revocation", () => {
  for (
    const [kind, name] of [
      ["token", "token-1"],
      ["session", "session-1"],
      ["subject", "alice"],
    ] as const
  ) {
    it(`of a ${kind} leaves nothing of what was issued up to then`, async () => {
      await using it = await scene();
      await it.write(revocation(kind, "somebody else's"));
      assertEquals(await it.grants(), { "acme/todos": "write", "umbrella/notes": "admin" });
      await it.write(revocation(kind, name));
      await assertFails("UNAUTHENTICATED", () => it.grants());
      const later = identityOf({ issuedAt: 1_001 });
      assertEquals(Object.keys(await it.grants(later)).length, 2);
    });
  }

  it("of a tenant or ledger leaves the others", async () => {
    await using it = await scene();
    await it.write(revocation("ledger", "umbrella/notes"));
    assertEquals(await it.grants(), { "acme/todos": "write" });
    await it.write(revocation("tenant", "acme"));
    assertEquals(await it.grants(), {});
    assertEquals(await it.grants(identityOf({ issuedAt: 1_001 })), {
      "acme/todos": "write",
      "umbrella/notes": "admin",
    });
  });

  it("is known after a start, and is forgotten when the last token has ended", async () => {
    await using it = await scene();
    await it.write(revocation("subject", "alice"));
    await using second = new Authority({ registry: it.registry, clock: it.clock });
    await second.start();
    await assertFails("UNAUTHENTICATED", () => second.judge(identityOf()));
    it.clock.advance(101 * minute);
    await second.refresh();
    assertEquals((await second.judge(identityOf())).grants.size, 2);
  });
});

describe("a managed tenant", () => {
  it("lets its members do the smaller of what token and database say", async () => {
    await using it = await scene();
    await it.write(managed("acme"));
    assertEquals(await it.grants(), { "umbrella/notes": "admin" });
    await it.write(member("acme", "alice", { role: "member", ledgers: { todos: "read" } }));
    assertEquals(await it.grants(), { "acme/todos": "read", "umbrella/notes": "admin" });
    await it.write(member("acme", "alice", { role: "owner" }));
    assertEquals(await it.grants(), { "acme/todos": "write", "umbrella/notes": "admin" });
    await it.write({ ...memberKey("acme", "alice"), value: null, endsAt: 100 * minute });
    assertEquals(await it.grants(), { "umbrella/notes": "admin" });
    // A name of every object is no ledger that somebody has a right on.
    await it.write(member("acme", "alice", { role: "member", ledgers: {} }));
    assertEquals(
      await it.grants(identityOf({ grants: new Map([["acme/constructor", "read"]]) })),
      {},
    );
  });

  it("tells those whom a change concerns, and nobody else", async () => {
    await using it = await scene();
    const told: string[] = [];
    const bob = identityOf({ subject: "bob", grants: new Map([["umbrella/notes", "read"]]) });
    it.authority.onChange((concerns) => {
      told.push(`${concerns(identityOf())} ${concerns(bob)}`);
    });
    await it.write(managed("acme"));
    await it.write(member("acme", "bob", { role: "member" }));
    await it.write(revocation("tenant", "umbrella"));
    await it.write(revocation("token", "token-9"));
    assertEquals(told, ["true false", "false true", "true true", "true true"]);
  });

  it("is asked for once, however many tokens there are, and again after a change", async () => {
    const registry = createMemoryRegistry();
    let asked = 0;
    const counting = new Proxy(registry, {
      get: (target, name) => {
        if (name === "get") asked++;
        const value: unknown = Reflect.get(target, name);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    await using authority = new Authority({ registry: counting, clock: createFakeClock(2_000) });
    await authority.start();
    for (let at = 0; at < 10; at++) await authority.judge(identityOf({ tokenId: `token-${at}` }));
    assertEquals(asked, 2);
    await registry.write([managed("acme")], audit);
    await authority.refresh();
    for (let at = 0; at < 10; at++) await authority.judge(identityOf());
    assertEquals(asked, 4);
  });
});

describe("an authority beside others", () => {
  it("starts anew when what was written has been undone", async () => {
    const [before, restored] = [createMemoryRegistry(), createMemoryRegistry()];
    await before.write([managed("acme")], audit);
    await before.write([revocation("subject", "bob")], audit);
    await restored.write([revocation("tenant", "umbrella")], audit);
    let current = before;
    const told: boolean[] = [];
    await using authority = new Authority({
      registry: {
        shared: false,
        get: (keys) => current.get(keys),
        changes: (after, limit) => current.changes(after, limit),
      },
      clock: createFakeClock(2_000),
    });
    await authority.start();
    authority.onChange((concerns) => void told.push(concerns(identityOf())));
    const grants = async () => Object.fromEntries((await authority.judge(identityOf())).grants);
    assertEquals(await grants(), { "umbrella/notes": "admin" });
    current = restored;
    await authority.refresh();
    assertEquals(await grants(), { "acme/todos": "write" });
    await authority.judge(identityOf({ subject: "bob" }));
    assertEquals(told, [true, true]);
  });

  it("hears of what they write when it looks again, also after the registry was away", async () => {
    const registry = createMemoryRegistry();
    let away = false;
    const shared: Pick<Registry, "shared" | "get" | "changes"> = {
      shared: true,
      get: (keys) => registry.get(keys),
      changes: (after, limit) =>
        away ? Promise.reject(new Error("away")) : registry.changes(after, limit),
    };
    const clock = createFakeClock(2_000);
    const errors: unknown[] = [];
    await using authority = new Authority({
      registry: shared,
      clock,
      onError: (error) => errors.push(error),
    });
    await authority.start();
    const changed = () =>
      new Promise<void>((resolve) => {
        const stop = authority.onChange(() => {
          stop();
          resolve();
        });
      });
    away = true;
    await registry.write([revocation("subject", "alice")], audit);
    while (errors.length === 0) {
      clock.advance(400);
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    assertEquals((await authority.judge(identityOf())).grants.size, 2);
    away = false;
    let isOver = false;
    const over = changed().then(() => isOver = true);
    while (!isOver) {
      clock.advance(400);
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    await over;
    await assertFails("UNAUTHENTICATED", () => authority.judge(identityOf()));
  });
});
