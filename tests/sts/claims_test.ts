/** Grants follow from claims, Hearth's own and Fireproof's; what is doubtful grants nothing. */

import { test } from "node:test";
import * as v from "valibot";
import { claimsSchema, includesRight, toGrants } from "../../src/sts/claims.ts";
import { assertEquals } from "#assert";

const base = { sub: "alice", jti: "1", iat: 1, exp: 2 };

function grantsOf(claims: object): Record<string, string> {
  return Object.fromEntries(toGrants(v.parse(claimsSchema, { ...base, ...claims })));
}

test("a ledger that is named with its tenant is granted", () => {
  assertEquals(grantsOf({ ledgers: [{ id: "acme/todos", right: "write" }] }), {
    "acme/todos": "write",
  });
});

test("a ledger of a tenant that the token does not list is not granted", () => {
  const ledgers = [{ id: "acme/todos", right: "write" }, { id: "umbrella/todos", right: "admin" }];
  assertEquals(grantsOf({ tenants: ["acme"], ledgers }), { "acme/todos": "write" });
});

test("a ledger without a right is readable", () => {
  assertEquals(grantsOf({ ledgers: [{ id: "acme/todos" }] }), { "acme/todos": "read" });
});

test("the strongest of several rights counts", () => {
  const ledgers = (["write", "admin", "read"] as const).map((right) => ({ id: "acme/a", right }));
  assertEquals(grantsOf({ ledgers }), { "acme/a": "admin" });
});

test("Fireproof's claims are understood", () => {
  const claims = {
    userId: "u1",
    email: "alice@example.com",
    created: "2026-01-01T00:00:00Z",
    tenants: [{ id: "acme", role: "admin" }],
    ledgers: [{ id: "todos", role: "admin", right: "write" }],
    selected: { tenant: "acme", ledger: "todos" },
  };
  assertEquals(grantsOf(claims), { "acme/todos": "write" });
});

test("a bare ledger belongs to the selected tenant, or to the only one", () => {
  const ledgers = [{ id: "todos", right: "write" }];
  const tenants = ["acme", { id: "umbrella" }];
  assertEquals(grantsOf({ tenants, ledgers, selected: { tenant: "umbrella" } }), {
    "umbrella/todos": "write",
  });
  assertEquals(grantsOf({ tenants: ["acme"], ledgers }), { "acme/todos": "write" });
});

test("a bare ledger that could belong to several tenants, or to none, is not granted", () => {
  const ledgers = [{ id: "todos", right: "write" }];
  assertEquals(grantsOf({ tenants: ["acme", "umbrella"], ledgers }), {});
  assertEquals(grantsOf({ tenants: ["a", "b"], ledgers, selected: { tenant: "c" } }), {});
  assertEquals(grantsOf({ ledgers }), {});
});

test("a role on a tenant grants nothing", () => {
  assertEquals(grantsOf({ tenants: [{ id: "acme", role: "admin" }] }), {});
});

test("a name that is no ledger grants nothing", () => {
  for (const id of ["acme/", "/todos", "a/b/c", "acme/../x", "acme/to dos", "acme/todos\n"]) {
    assertEquals(grantsOf({ ledgers: [{ id, right: "write" }] }), {}, JSON.stringify(id));
  }
});

test("each right includes those before it", () => {
  const rights = ["read", "write", "admin"] as const;
  rights.forEach((held, at) =>
    rights.forEach((needed, other) => assertEquals(includesRight(held, needed), other <= at))
  );
});
