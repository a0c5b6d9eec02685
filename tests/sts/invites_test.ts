/** Invites: so many times, so long, and never less than before. */

import { describe, it } from "node:test";
import { assert, assertEquals } from "#assert";
import { createMemoryRegistry } from "../../src/backend/stores/memory_registry.ts";
import type { AuditDraft } from "../../src/sts/audit.ts";
import { findInvite, joinMember, makeInvite } from "../../src/sts/invites.ts";

const audit: AuditDraft = {
  at: 1,
  action: "invite.made",
  actor: "alice",
  target: "acme",
  detail: {},
};
const now = 1_000_000;
const member = { role: "member" as const, ledgers: { todos: "write" as const } };

async function made(uses: number) {
  const registry = createMemoryRegistry();
  const invite = makeInvite({ tenant: "acme", member, uses, madeBy: "alice", endsAt: now + 10 });
  assert(await registry.write([invite.write], audit));
  return { registry, ...invite };
}

describe("an invite", () => {
  it("lets in as many as it says, also when all come at once", async () => {
    const { registry, code } = await made(3);
    let entered = 0;
    for (let round = 0; round < 20; round++) {
      const found = await Promise.all(
        Array.from({ length: 5 }, () => findInvite(registry, code, now)),
      );
      for (const it of found) {
        if (it && await registry.write([it.write], audit) !== undefined) entered++;
      }
    }
    assertEquals(entered, 3);
    assertEquals(await findInvite(registry, code, now), undefined);
  });

  it("says what it gives, and by whom", async () => {
    const { registry, code, id } = await made(1);
    assertEquals((await findInvite(registry, code, now))?.invite, {
      id,
      tenant: "acme",
      member,
      uses: 1,
      madeBy: "alice",
      endsAt: now + 10,
    });
  });

  it("is nothing after its time, or with another secret, tenant or form", async () => {
    const { registry, code } = await made(1);
    const [kind, tenant, id, secret] = code.split(".");
    const wrong = [
      "",
      `${kind}.${tenant}.${id}.${"A".repeat(22)}`,
      `${kind}.umbrella.${id}.${secret}`,
      `${kind}.${id}.${secret}`,
      `hrt.${tenant}.${id}.${secret}`,
      `${code}\n`,
    ];
    for (const text of wrong) assertEquals(await findInvite(registry, text, now), undefined, text);
    assertEquals(await findInvite(registry, code, now + 10), undefined);
    assert(await findInvite(registry, code, now + 9));
  });

  it("keeps no secret: what is written down does not open it", async () => {
    const { write, code } = await made(1);
    const secret = code.split(".").at(-1) ?? "";
    assertEquals(JSON.stringify(write).includes(secret), false);
  });

  it("takes nothing away from who was a member before", () => {
    const before = { role: "admin" as const, ledgers: { notes: "read" as const } };
    assertEquals(joinMember(before, member), {
      role: "admin",
      ledgers: { notes: "read", todos: "write" },
    });
    const more = { role: "member" as const, ledgers: { todos: "admin" as const } };
    assertEquals(joinMember(more, member), more);
    assertEquals(joinMember(undefined, member), member);
  });
});
