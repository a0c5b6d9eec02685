/** What every Registry must do, whatever it keeps its rows in. */

import { describe, it } from "node:test";
import { assert, assertEquals, assertRejects } from "#assert";
import type { AuditDraft } from "../../src/sts/audit.ts";
import type { RecordKey, RecordWrite, Registry } from "../../src/sts/registry.ts";
import { verifyAudit } from "../../src/sts/verify_audit.ts";
import { registryAuditTests } from "./registry_audit.ts";
import { draftOf, type MakePlace, memberOf } from "./registry_fixtures.ts";
import { registryOrderTests } from "./registry_order.ts";

/** Declares the suite. */
export function registrySuite(name: string, make: MakePlace): void {
  describe(`${name} as Registry`, () => {
    writes(make);
    names(make);
    reading(make);
    bounds(make);
    registryOrderTests(make);
    registryAuditTests(make);
  });
}

const later = 2_000_000_000_000;

function put(name: string, value: string, version?: number): RecordWrite {
  return { ...memberOf(name), value, version };
}

function removal(name: string, version?: number): RecordWrite {
  return { ...memberOf(name), value: null, endsAt: later, version };
}

async function valuesOf(registry: Registry, ...keys: string[]) {
  const found = await registry.get(keys.map((name) => memberOf(name)));
  return found.map(({ name, version, value }) => [name, version, value]);
}

function writes(make: MakePlace): void {
  it("gives each record that is written the next version", async () => {
    await using place = await make();
    await using registry = await place.open();
    assertEquals(await registry.write([put("a", "1"), put("b", "2")], draftOf("x")), 2);
    assertEquals(await registry.write([{ ...put("a", "3"), endsAt: later }], draftOf("x")), 3);
    assertEquals(await registry.get([memberOf("b"), memberOf("none"), memberOf("a")]), [
      { ...memberOf("b"), version: 2, endsAt: undefined, value: "2" },
      { ...memberOf("a"), version: 3, endsAt: later, value: "3" },
    ]);
    assertEquals(await registry.write([], draftOf("x")), 3);
    assertEquals(await registry.get([]), []);
  });

  it("writes at the version that was read, and nothing at all when one is another", async () => {
    await using place = await make();
    await using registry = await place.open();
    await registry.write([put("a", "1", 0), put("b", "2", 0)], draftOf("made"));
    const refused = [
      [put("c", "new"), put("a", "other", 0)],
      [put("c", "new"), put("a", "other", 2)],
      [put("c", "new"), put("none", "other", 1)],
      [removal("b", 2), removal("a", 2)],
    ];
    for (const all of refused) {
      assertEquals(await registry.write(all, draftOf("refused")), undefined);
    }
    assertEquals(await valuesOf(registry, "a", "b", "c", "none"), [["a", 1, "1"], ["b", 2, "2"]]);
    assertEquals((await registry.audit(0, 10)).map((it) => it.target), ["made"]);
    assertEquals((await registry.changes(0, 10)).number, 2);
    assertEquals(await registry.write([put("a", "3", 1), removal("b", 2)], draftOf("done")), 4);
    assertEquals(await valuesOf(registry, "a", "b"), [["a", 3, "3"]]);
  });

  it("takes a removed record for one that is not there, and never gives a version twice", async () => {
    await using place = await make();
    await using registry = await place.open();
    await registry.write([put("a", "1")], draftOf("x"));
    await registry.write([removal("a", 1)], draftOf("x"));
    for (const version of [1, 2]) {
      assertEquals(await registry.write([put("a", "2", version)], draftOf("x")), undefined);
    }
    assertEquals(await registry.write([put("a", "2", 0)], draftOf("x")), 3);
    await registry.write([removal("a")], draftOf("x"));
    assertEquals(await registry.sweep(later, 10), 1);
    // Who read it at version 1 must not take the new one for it.
    assertEquals(await registry.write([put("a", "3", 0)], draftOf("x")), 5);
    assertEquals(await registry.write([put("a", "4", 1)], draftOf("x")), undefined);
  });

  it("lets one of fifty win that write at the same version", async () => {
    await using place = await make();
    await using one = await place.open();
    await using other = place.together ? await place.open() : undefined;
    await one.write([put("ticket", "unused")], draftOf("made"));
    const all = await Promise.all(Array.from({ length: 50 }, (_, at) => {
      const registry = at % 2 === 1 && other ? other : one;
      return registry.write([put("ticket", `used ${at}`, 1)], draftOf(`used ${at}`));
    }));
    const won = all.flatMap((number, at) => number === undefined ? [] : [at]);
    assertEquals(won.length, 1);
    assertEquals(await valuesOf(one, "ticket"), [["ticket", 2, `used ${won[0]}`]]);
    const log = (await one.audit(0, 100)).map(({ target }) => target);
    assertEquals(log, ["made", `used ${won[0]}`]);
  });

  it("forgets what has ended, so many at once, and nothing else", async () => {
    await using place = await make();
    await using registry = await place.open();
    const ends = [30, 10, undefined, 20, 40];
    const all = ends.map((endsAt, at) => ({ ...put(`n${at}`, "x"), endsAt }));
    await registry.write([...all, { ...removal("gone"), endsAt: 30 }], draftOf("x"));
    assertEquals(await registry.sweep(9, 10), 0);
    assertEquals(await registry.sweep(20, 1), 1);
    assertEquals(await registry.sweep(20, 10), 1);
    assertEquals(await registry.sweep(30, 10), 2);
    const { records, number } = await registry.changes(0, 10);
    assertEquals([records.map(({ name }) => name), number], [["n2", "n4"], 6]);
    // An end can be called off.
    await registry.write([put("n4", "y")], draftOf("x"));
    assertEquals(await registry.sweep(50, 10), 0);
  });

  it("finds everything again when it is opened once more", async () => {
    await using place = await make();
    const read = async (registry: Registry) => [
      await registry.changes(0, 10),
      await registry.audit(0, 10),
      await registry.auditEnd(),
    ];
    let before;
    {
      await using registry = await place.open();
      await registry.write([put("a", "1"), { ...put("b", "2"), endsAt: later }], draftOf("x"));
      await registry.write([removal("a")], draftOf("y", { why: "left" }));
      before = await read(registry);
    }
    await using registry = await place.open();
    assertEquals(await read(registry), before);
    assertEquals(await registry.write([put("c", "3")], draftOf("z")), 4);
    assertEquals((await verifyAudit(registry)).broken, undefined);
  });
}

function names(make: MakePlace): void {
  const hostile = [
    "'; drop table record; --",
    `"quoted" \\ back\\\\slash {a,b} null NULL`,
    "__proto__",
    "constructor",
    "ünïcödé 漢字 😀 \u202e \ufeff \ufffd",
    "e\u0301",
    "\u00e9",
    " ",
    "a\nb\t\u0001\u007f",
    "%_*?",
    "漢".repeat(512),
    "😀".repeat(256),
  ];

  it("keeps names, values and details apart, whatever they hold", async () => {
    await using place = await make();
    await using registry = await place.open();
    const records = hostile.map((name, at) => ({
      ...memberOf(name, at % 2 === 0 ? "acme" : "漢".repeat(256)),
      value: JSON.stringify({ [name]: at, zero: "\0" }),
    }));
    const details = Object.fromEntries(hostile.slice(0, 10).map((name) => [name, name]));
    await registry.write(records, draftOf("x", details));
    for (const [at, name] of hostile.entries()) await registry.write([], draftOf(name, { at }));
    const found = await registry.get(records);
    assertEquals(found.map(({ name }) => name), hostile);
    assertEquals(found.map(({ value }) => value), records.map(({ value }) => value));
    const [first, ...log] = await registry.audit(0, 100);
    assertEquals(Object.entries(first?.detail ?? {}).sort(), Object.entries(details).sort());
    assertEquals(log.map(({ target }) => target), hostile);
    assertEquals((await verifyAudit(registry)).broken, undefined);
  });

  it("keeps kinds and tenants apart", async () => {
    await using place = await make();
    await using registry = await place.open();
    const keys: readonly RecordKey[] = [
      { kind: "member", tenant: "acme", name: "a" },
      { kind: "invite", tenant: "acme", name: "a" },
      { kind: "member", tenant: "Acme", name: "a" },
      { kind: "member", tenant: "", name: "a" },
      { kind: "member", tenant: "acme", name: "A" },
    ];
    await registry.write(keys.map((key, at) => ({ ...key, value: `${at}` })), draftOf("x"));
    assertEquals((await registry.get(keys)).map(({ value }) => value), ["0", "1", "2", "3", "4"]);
    const listed = await registry.list("member", "acme", 10);
    assertEquals(listed.map(({ value }) => value), ["4", "0"]);
    await registry.write([{ ...memberOf("a"), value: null, endsAt: 1 }], draftOf("x"));
    assertEquals((await registry.get(keys)).length, 4);
  });

  it("finds nothing under names that cannot be kept", async () => {
    await using place = await make();
    await using registry = await place.open();
    await registry.write([put("\ufffd", "x"), put("a", "y")], draftOf("x"));
    const impossible = ["\ud800", "a\0", "a\0b", ""];
    assertEquals(await registry.get(impossible.map((name) => memberOf(name))), []);
    assertEquals(await registry.list("member", "acme\0", 10), []);
    assertEquals(await registry.list("member", "acme", 10, "\0"), []);
  });
}

function reading(make: MakePlace): void {
  it("lists by name, in pages that meet, in the order of their bytes", async () => {
    await using place = await make();
    await using registry = await place.open();
    // The last two sort the other way round by UTF-16.
    const sorted = ["A", "B", "a", "aa", "ab", "b", "é", "\uff5e", "😀"];
    await registry.write(
      [...sorted.toReversed(), "gone"].map((name) => put(name, name)),
      draftOf("x"),
    );
    await registry.write([removal("gone")], draftOf("x"));
    const pages: (readonly string[])[] = [];
    for (let after: string | undefined;; after = pages.at(-1)?.at(-1)) {
      const page = await registry.list("member", "acme", 4, after);
      if (page.length === 0) break;
      pages.push(page.map(({ name }) => name));
    }
    assertEquals(pages.map((page) => page.length), [4, 4, 1]);
    assertEquals(pages.flat(), sorted);
    assertEquals(await registry.list("invite", "acme", 4), []);
  });
}

function bounds(make: MakePlace): void {
  it("keeps what is as long as it may be", async () => {
    await using place = await make();
    await using registry = await place.open();
    const value = "é".repeat(8 * 1024);
    const many = Array.from({ length: 255 }, (_, at) => put(`${at}`, "x"));
    const detail = { text: "x".repeat(4 * 1024 - '{"text":""}'.length) };
    assertEquals(await registry.write([put("long", value), ...many], draftOf("x", detail)), 256);
    assertEquals((await registry.get([memberOf("long")]))[0]?.value, value);
    assertEquals((await registry.audit(0, 1))[0]?.detail, detail);
  });

  const wrong: Readonly<Record<string, readonly [readonly RecordWrite[], AuditDraft?]>> = {
    "a value of more than 16 KiB": [[put("a", `${"é".repeat(8 * 1024)}x`)]],
    "a value with a zero character": [[put("a", "\0")]],
    "a value with half a surrogate pair": [[put("a", "\ud800")]],
    "a name of more than 512 characters": [[put("a".repeat(513), "x")]],
    "an empty name": [[put("", "x")]],
    "a name with a zero character": [[put("a\0", "x")]],
    "a name with half a surrogate pair": [[put("\udc00", "x")]],
    "a tenant of more than 256 characters": [[{ ...memberOf("a", "a".repeat(257)), value: "x" }]],
    "a removal without an end": [[{ ...memberOf("a"), value: null }]],
    "an end between two milliseconds": [[{ ...put("a", "x"), endsAt: 0.5 }]],
    "a record twice": [[put("a", "x"), put("a", "y")]],
    "257 records": [Array.from({ length: 257 }, (_, at) => put(`${at}`, "x"))],
    "details of more than 4 KiB": [[], draftOf("x", { a: "é".repeat(2048) })],
    "a detail with half a surrogate pair": [[], draftOf("x", { a: "\ud800" })],
    "a detail that is no number": [[], draftOf("x", { a: NaN })],
    "an actor of more than 512 characters": [[], { ...draftOf("x"), actor: "a".repeat(513) }],
    "a target with a zero character": [[], draftOf("a\0")],
    "a time between two milliseconds": [[], { ...draftOf("x"), at: 0.5 }],
  };

  it("refuses what is longer, or what not every database can hold, and writes nothing", async () => {
    await using place = await make();
    await using registry = await place.open();
    for (const [what, [all, audit = draftOf("x")]] of Object.entries(wrong)) {
      const error = await assertRejects(() => registry.write([put("b", "x"), ...all], audit), what);
      assert(error instanceof TypeError || error instanceof RangeError, `${what}: ${error}`);
      assert(error.message.startsWith("Cannot "), `${what}: ${error.message}`);
    }
    await assertRejects(() => registry.get(Array.from({ length: 257 }, () => memberOf("a"))));
    assertEquals(await registry.changes(0, 10), { records: [], number: 0, more: false });
    assertEquals(await registry.audit(0, 10), []);
  });
}
