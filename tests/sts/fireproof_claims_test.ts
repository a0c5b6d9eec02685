/** A tenant and a ledger are granted as a pair, or not at all. */

import { test } from "node:test";
import * as v from "valibot";
import { fireproofClaimsSchema, toFireproofRights } from "../../src/sts/fireproof_claims.ts";
import { assertEquals } from "#assert";

function rightsOf(tenants: readonly string[], ledgers: readonly string[], selected?: string) {
  const [tenant, ledger] = selected?.split("/") ?? [];
  const claims = v.parse(fireproofClaimsSchema, {
    userId: "alice",
    exp: 1,
    tenants: tenants.map((id) => ({ id, role: "owner" })),
    ledgers: ledgers.map((it) => {
      const [id, right = "write"] = it.split(":");
      return { id, right, role: "admin" };
    }),
    selected: selected && { tenant, ledger },
  });
  const { grants, selected: found } = toFireproofRights(claims);
  return { grants: Object.fromEntries(grants), selected: found };
}

test("all ledgers of a token with one tenant are that tenant's", () => {
  assertEquals(rightsOf(["acme"], ["todos", "notes:read"], "acme/notes"), {
    grants: { "acme/todos": "write", "acme/notes": "read" },
    selected: "acme/notes",
  });
  assertEquals(rightsOf(["acme", "acme"], ["todos"]), {
    grants: { "acme/todos": "write" },
    selected: undefined,
  });
});

test("of a token with several tenants only the selected pair is granted", () => {
  assertEquals(rightsOf(["acme", "umbrella"], ["todos", "plans"], "umbrella/plans"), {
    grants: { "umbrella/plans": "write" },
    selected: "umbrella/plans",
  });
  assertEquals(rightsOf(["acme", "umbrella"], ["todos"]), { grants: {}, selected: undefined });
});

test("a selection grants nothing that is not listed", () => {
  for (const selected of ["umbrella/todos", "acme/plans", "umbrella/plans"]) {
    assertEquals(rightsOf(["acme"], ["todos"], selected), {
      grants: { "acme/todos": "write" },
      selected: undefined,
    });
  }
  assertEquals(rightsOf([], ["todos"], "acme/todos"), { grants: {}, selected: undefined });
  assertEquals(rightsOf(["acme", "umbrella"], ["todos"], "evil/todos").grants, {});
});

test("the stronger of two rights counts, and a role gives none", () => {
  assertEquals(rightsOf(["acme"], ["a:write", "a:read"]).grants, { "acme/a": "write" });
  assertEquals(rightsOf(["acme"], ["a:read"]).grants, { "acme/a": "read" });
});

test("a name that is no ledger grants nothing", () => {
  for (const id of ["a/b", "../x", "to dos", "todos\n", ".", "x".repeat(65)]) {
    assertEquals(rightsOf(["acme"], [id]).grants, {}, JSON.stringify(id));
    assertEquals(rightsOf([id], ["todos"]).grants, {}, JSON.stringify(id));
  }
});
