/** `audit verify` and `audit list`: what they print where, and their exit codes. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import { assert, assertEquals, assertMatch } from "#assert";
import { openPostgresRegistry } from "../../src/backend/stores/postgres_registry.ts";
import { openSqlite } from "../../src/backend/stores/sqlite.ts";
import { main } from "../../src/cli/main.ts";
import type { Registry } from "../../src/sts/registry.ts";
import { draftOf } from "../conformance/registry_fixtures.ts";
import { openTestDatabases } from "../harness/postgres_server.ts";
import { makeTempFolder } from "../harness/temp_folder.ts";

const databases = openTestDatabases();
after(() => databases[Symbol.asyncDispose]());

async function run(args: readonly string[], env: Readonly<Record<string, string>>) {
  const out: string[] = [];
  const err: string[] = [];
  const code = await main({
    args: ["audit", ...args],
    env: (name) => env[name],
    out: (line) => void out.push(line),
    err: (line) => void err.push(line),
    invocation: "hearth",
    signal: new AbortController().signal,
  });
  return { code, out, err: err.join("\n") };
}

/** More than are read at once. */
const lines = 510;

async function fill(registry: Registry): Promise<string> {
  const details = { text: "two words", "odd=name\n": true };
  await registry.write([], draftOf("\u001b[2J\nforged", details));
  for (let line = 2; line <= lines; line++) await registry.write([], draftOf(`t${line}`, { line }));
  return (await registry.auditEnd()).hash;
}

test("audit tells of the log in SQLite, and where it was tampered with", async () => {
  await using folder = await makeTempFolder();
  const path = join(folder.path, "hearth.sqlite");
  const env = { HEARTH_DATA: folder.path };
  let hash;
  {
    await using store = await openSqlite({ path });
    hash = await fill(store.registry);
  }
  assertEquals(await run(["verify"], env), {
    code: 0,
    out: [`the audit log is whole: ${lines} lines, the last with the hash ${hash}`],
    err: "",
  });

  const { code, out, err } = await run(["list"], env);
  assertEquals([code, out.length, err], [0, lines, ""]);
  assertEquals(
    out[0],
    `1 2023-11-14T22:13:20.000Z action=member.changed actor=alice ` +
      String.raw`target="\u001b[2J\nforged" "odd=name\n"=true text="two words"`,
  );
  assertMatch(out[1] ?? "", /^2 2023\S+ action=member.changed actor=alice target=t2 line=2$/);
  const json = await run(["list", "--after", "508", "--json"], env);
  assertEquals(
    json.out.map((it) => JSON.parse(it)).map(({ number, detail }) => [number, detail]),
    [[509, { line: 509 }], [510, { line: 510 }]],
  );
  assertEquals((await run(["list", "--after=510"], env)).out, []);

  const database = new DatabaseSync(path);
  database.exec("update audit set actor = 'mallory', at = 9000000000000000 where number = 505");
  database.close();
  const broken = await run(["verify"], env);
  assertEquals([broken.code, broken.out], [1, []]);
  assertMatch(broken.err, /broken at line 505: its hash .*\nGood are 504 lines, .* [0-9a-f]{64}$/);
  const shown = await run(["list", "--after", "504"], env);
  assertMatch(shown.out[0] ?? "", /^505 9000000000000000 .* actor=mallory /);
});

test("audit says so when a server holds the file, or there is none", async () => {
  await using folder = await makeTempFolder();
  const path = join(folder.path, "hearth.sqlite");
  const none = await run(["verify"], { HEARTH_DATA: folder.path });
  assertEquals([none.code, none.out, existsSync(path)], [1, [], false]);
  assert(none.err.includes("there is no such file"), none.err);
  await using _store = await openSqlite({ path });
  for (const args of [["verify"], ["list"]]) {
    const { code, out, err } = await run(args, { HEARTH_DATA: folder.path });
    assertEquals([code, out], [1, []]);
    assert(err.includes("another server holds it; stop that one first"), err);
  }
});

test("audit tells of the log in Postgres, beside servers that write to it", async () => {
  await using database = await databases.take();
  await using registry = await openPostgresRegistry({ url: database.url });
  const env = { DATABASE_URL: database.url };
  const empty = await run(["verify"], env);
  assertEquals([empty.code, empty.err], [0, ""]);
  assertMatch(empty.out[0] ?? "", /whole: 0 lines, the last with the hash 0{64}$/);
  await registry.write([], draftOf("a"));
  await registry.write([], draftOf("b"));
  assertMatch((await run(["verify"], env)).out[0] ?? "", /whole: 2 lines/);
  assertEquals((await run(["list"], env)).out.length, 2);
  await database.query("delete from hearth.audit where number = 2");
  const broken = await run(["verify"], env);
  assertEquals([broken.code, broken.out], [1, []]);
  assertMatch(
    broken.err,
    /broken at line 2: it is missing: the log went up to 2\nGood are 1 lines/,
  );
});

test("wrong use of audit: exit 2, and nothing on stdout", async () => {
  await using folder = await makeTempFolder();
  const wrong: readonly (readonly [readonly string[], string])[] = [
    [[], "audit verify, or audit list"],
    [["forget"], "audit verify, or audit list"],
    [["verify", "now"], '"now"'],
    [["list", "now"], '"now"'],
    [["verify", "--after", "1"], "--after"],
    [["list", "--after", "first"], "--after"],
    [["list", "--after", "-1"], "--after"],
  ];
  for (const [args, part] of wrong) {
    const { code, out, err } = await run(args, { HEARTH_DATA: folder.path });
    assertEquals([args, code, out], [args, 2, []]);
    assert(err.includes(part), err);
  }
});
