/** What every Registry must promise those who follow it. */

import { it } from "node:test";
import { assert, assertEquals } from "#assert";
import { createMemoryRegistry } from "../../src/backend/stores/memory_registry.ts";
import type { RecordWrite, Registry, RegistryRecord } from "../../src/sts/registry.ts";
import { verifyAudit } from "../../src/sts/verify_audit.ts";
import { seededRandom, testSeed } from "../random.ts";
import { draftOf, type MakePlace, memberOf } from "./registry_fixtures.ts";

const writers = 16;
const writesEach = 6;

/** Declares the tests. */
export function registryOrderTests(make: MakePlace): void {
  it("tells what was written, in order, in pages that meet, removals included", async () => {
    await using place = await make();
    await using registry = await place.open();
    assertEquals(await registry.changes(0, 2), { records: [], number: 0, more: false });
    const put = (name: string): RecordWrite => ({ ...memberOf(name), value: name });
    await registry.write([put("a"), put("b"), put("c")], draftOf("x"));
    await registry.write([put("a"), { ...memberOf("b"), value: null, endsAt: 1 }], draftOf("x"));
    const read = async (after: number, limit: number) => {
      const { records, number, more } = await registry.changes(after, limit);
      return [records.map(({ name, version, value }) => [name, version, value]), number, more];
    };
    assertEquals(await read(0, 2), [[["c", 3, "c"], ["a", 4, "a"]], 4, true]);
    assertEquals(await read(4, 2), [[["b", 5, null]], 5, false]);
    assertEquals(await read(2, 3), [[["c", 3, "c"], ["a", 4, "a"], ["b", 5, null]], 5, false]);
    assertEquals(await read(5, 2), [[], 5, false]);
    // Who stands behind the end has followed what was undone since.
    assertEquals(await read(9, 2), [[], 5, false]);
    // What was swept is not told, and its position is not given again.
    await registry.sweep(1, 10);
    assertEquals(await read(4, 2), [[], 5, false]);
    assertEquals(await registry.write([put("d")], draftOf("x")), 6);
  });

  it("keeps one order without gaps while sixteen write, and a follower misses nothing", async () => {
    await using place = await make();
    await using one = await place.open();
    await using other = place.together ? await place.open() : undefined;
    const total = writers * writesEach * 2;
    const following = follow(other ?? one, total);
    const told = await Promise.all(
      Array.from({ length: writers }, (_, at) => writeOften(at % 2 === 0 && other || one, at)),
    );
    const seen = await following;
    assertEquals(seen.map(({ version }) => version), numbersTo(total));
    const names = new Map(seen.map(({ name, version }) => [name, version]));
    // What each was told is where its last record is.
    for (const [name, number] of told.flat()) assertEquals(names.get(name), number);
    const log = await one.audit(0, 1000);
    assertEquals(log.map(({ number }) => number), numbersTo(writers * writesEach));
    assertEquals((await verifyAudit(one)).broken, undefined);
  });
}

/** Declares the test that does the same, at random, to the registry in memory. */
export function registryModelTest(make: MakePlace): void {
  it("comes to what the registry in memory comes to", async () => {
    const random = seededRandom(testSeed());
    await using place = await make();
    let registry = await place.open();
    await using model = createMemoryRegistry();
    const versions = [undefined, undefined, 0, 1, 2, 3];
    for (let round = 0; round < 60; round++) {
      const names = new Set(Array.from({ length: random.below(4) }, () => `n${random.below(6)}`));
      const writes = Array.from(names, (name): RecordWrite => ({
        ...memberOf(name, random.pick(["acme", ""])),
        value: random.pick([null, `value ${round}`, `other ${round}`]),
        endsAt: random.below(200),
        version: random.pick(versions),
      }));
      const after = random.below(80);
      const limit = 1 + random.below(8);
      const draft = draftOf(`round ${round}`, { round });
      const now = random.below(3) * 20;
      const doAll = async (it: Registry) => [
        await it.write(writes, draft),
        await it.sweep(now, 1000),
        await it.get(writes),
        await it.list("member", "acme", limit, `n${after % 6}`),
        await it.changes(after, limit),
        await it.audit(after, limit),
        await it.auditEnd(),
      ];
      assertEquals(await doAll(registry), await doAll(model));
      for (const { name, version } of (await model.changes(0, 100)).records) {
        if (name === "n1") versions.push(version);
      }
      if (random.below(20) > 0) continue;
      await registry[Symbol.asyncDispose]();
      registry = await place.open();
    }
    assert((await model.auditEnd()).number > 5);
    await registry[Symbol.asyncDispose]();
  });
}

/** Writes two records a time. @returns where each second one came to be */
async function writeOften(
  registry: Registry,
  writer: number,
): Promise<readonly (readonly [name: string, number: number | undefined])[]> {
  const told: [string, number | undefined][] = [];
  for (let at = 0; at < writesEach; at++) {
    const name = `w${writer} ${at}`;
    const pair = [memberOf(`${name} first`), memberOf(name)];
    const writes = pair.map((key) => ({ ...key, value: "x", version: 0 }));
    told.push([name, await registry.write(writes, draftOf(name))]);
  }
  return told;
}

/** Reads changes until it has come to a position. */
async function follow(registry: Registry, until: number): Promise<readonly RegistryRecord[]> {
  const seen: RegistryRecord[] = [];
  for (let position = 0; position < until;) {
    const page = await registry.changes(position, 3);
    seen.push(...page.records);
    position = page.number;
    // Lets the others do something.
    await new Promise((resolve) => setTimeout(resolve));
  }
  return seen;
}

function numbersTo(last: number): readonly number[] {
  return Array.from({ length: last }, (_, at) => at + 1);
}
