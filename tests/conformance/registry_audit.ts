/** What every Registry must do with its audit log. */

import { it } from "node:test";
import { assert, assertEquals } from "#assert";
import { auditStart, chainHash } from "../../src/sts/audit.ts";
import { verifyAudit } from "../../src/sts/verify_audit.ts";
import {
  draftOf,
  type MakePlace,
  memberOf,
  type RegistryPlace,
  type RowsPlace,
} from "./registry_fixtures.ts";

const lines = 6;
const hashes = (from: number, to: number) =>
  `update audit set hash = (select hash from audit where number = ${from}) where number = ${to}`;

/** What is done to the log, and the first line that is then found broken. */
const tampered: readonly (readonly [what: string, line: number, ...statements: string[]])[] = [
  ["an actor is another", 3, "update audit set actor = 'mallory' where number = 3"],
  ["a target is another", 6, "update audit set target = 'x' where number = 6"],
  ["a time is another", 1, "update audit set at = at + 1 where number = 1"],
  ["a detail is another", 2, `update audit set detail = '{"line":9}' where number = 2`],
  ["a detail is no JSON", 2, "update audit set detail = '{' where number = 2"],
  ["a detail is a list", 2, "update audit set detail = '[[1]]' where number = 2"],
  ["an action is unknown", 4, "update audit set action = 'nothing' where number = 4"],
  ["a hash is another", 4, hashes(5, 4)],
  ["a line is gone", 3, "delete from audit where number = 3"],
  ["the first line is gone", 1, "delete from audit where number = 1"],
  ["the last line is gone", 6, "delete from audit where number = 6"],
  ["all lines are gone", 1, "delete from audit"],
  [
    "a line is gone and the others have moved up",
    5,
    "delete from audit where number = 5",
    "update audit set number = 5 where number = 6",
  ],
  [
    "two lines are swapped",
    2,
    "update audit set number = 100 where number = 2",
    "update audit set number = 2 where number = 3",
    "update audit set number = 3 where number = 100",
  ],
];

/** Declares the tests. */
export function registryAuditTests(make: MakePlace): void {
  it("chains a line of the log to the one before, in the same step as the records", async () => {
    await using place = await make();
    await using registry = await place.open();
    assertEquals(await registry.auditEnd(), auditStart);
    const drafts = [draftOf("a", { b: 1, a: "x", c: true }), draftOf("b"), draftOf("c")];
    for (const [at, draft] of drafts.entries()) {
      await registry.write([{ ...memberOf(`${at}`), value: "x" }], draft);
    }
    const log = await registry.audit(0, 10);
    let before = auditStart.hash;
    const expected = drafts.map((draft, at) => {
      before = chainHash(before, at + 1, draft);
      return { ...draft, number: at + 1, hash: before };
    });
    assertEquals(log, expected);
    assertEquals(await registry.audit(1, 1), expected.slice(1, 2));
    assertEquals(await registry.audit(3, 1), []);
    assertEquals(await registry.auditEnd(), { number: 3, hash: before });
    assertEquals(await verifyAudit(registry), {
      end: { number: 3, hash: before },
      broken: undefined,
    });
  });

  it("has a log that is found to be whole while others write to it", async () => {
    await using place = await make();
    await using registry = await place.open();
    const writing = (async () => {
      for (let at = 0; at < 30; at++) await registry.write([], draftOf(`line ${at}`));
    })();
    let isWriting = true;
    void writing.finally(() => (isWriting = false));
    while (isWriting) {
      assertEquals((await verifyAudit(registry)).broken, undefined);
      await new Promise((resolve) => setTimeout(resolve));
    }
    await writing;
    assertEquals((await verifyAudit(registry)).end.number, 30);
  });
}

/** Declares the tests of a registry that keeps rows. */
export function registryTamperTests(make: () => Promise<RowsPlace>): void {
  for (const [what, line, ...statements] of tampered) {
    it(`shows where its log was tampered with: ${what}`, async () => {
      await using place = await make();
      await fill(place);
      for (const statement of statements) await place.tamper(statement);
      await using registry = await place.open();
      const { end, broken } = await verifyAudit(registry);
      assertEquals([broken?.number, end.number], [line, line - 1]);
      assert((broken?.reason ?? "").length > 0);
    });
  }
}

async function fill(place: RegistryPlace): Promise<void> {
  await using registry = await place.open();
  for (let line = 1; line <= lines; line++) {
    await registry.write([], draftOf(`target ${line}`, { line }));
  }
  assertEquals((await verifyAudit(registry)).broken, undefined);
}
