/** The command line: what it prints where, and its exit codes. */

import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { SimpleTokenStrategy } from "@fireproof/core-gateways-cloud";
import { decodeJwt } from "jose";
import { assert, assertEquals, assertMatch } from "#assert";
import { main } from "../../src/cli/main.ts";
import { makeTempFolder } from "../harness/temp_folder.ts";

async function run(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  signal: AbortSignal = new AbortController().signal,
  onOut: (line: string) => void = () => {},
) {
  const out: string[] = [];
  const err: string[] = [];
  const code = await main({
    args,
    env: (name) => env[name],
    out: (line) => {
      out.push(line);
      onOut(line);
    },
    err: (line) => void err.push(line),
    invocation: "hearth",
    signal,
  });
  return { code, out: out.join("\n"), err: err.join("\n") };
}

test("help and version answer on stdout", async () => {
  for (const name of ["help", "--help"]) {
    const { code, out, err } = await run([name]);
    assertEquals([code, err], [0, ""]);
    for (const part of ["hearth token", "--port", "HEARTH_DATA", "8787"]) {
      assert(out.includes(part));
    }
  }
  assertMatch((await run(["version"])).out, /^\d+\.\d+\.\d+$/);
});

test("an unknown command, flag or word is wrong use: exit 2, and nothing on stdout", async () => {
  const wrong: readonly (readonly [readonly string[], string])[] = [
    [["ledger"], 'unknown command "ledger"'],
    [["--prot", "1"], "--prot"],
    [["serve", "now"], '"now"'],
    [["--port"], "--port needs a value"],
    [["token"], "tenant/ledger"],
    [["token", "todos", "--for", "a"], '"todos"'],
    [["token", "acme/todos"], "--for"],
    [["token", "acme/todos", "--for", "a", "--right", "root"], "--right"],
    [["token", "acme/todos", "--for", "a", "--expires", "soon"], "--expires"],
    [["token", "acme/todos", "--for", "a", "--expires", "0h"], "--expires"],
  ];
  await using folder = await makeTempFolder();
  for (const [args, part] of wrong) {
    const { code, out, err } = await run(args, { HEARTH_DATA: folder.path });
    assertEquals([args, code, out], [args, 2, ""]);
    assert(err.includes(part), err);
  }
  assertEquals(existsSync(join(folder.path, "signing-key.json")), false);
});

test("every mistake in the settings is told at once", async () => {
  const { code, err } = await run([], {
    PORT: "x",
    HEARTH_LOG: "loud",
    DATABASE_URL: "mysql://h",
  });
  assertEquals(code, 2);
  for (const name of ["PORT", "HEARTH_LOG", "DATABASE_URL"]) assert(err.includes(name), err);
});

test("token prints the token alone, or with what it says", async () => {
  await using folder = await makeTempFolder();
  const env = { HEARTH_DATA: join(folder.path, "data") };
  const plain = await run(
    ["token", "acme/todos", "acme/notes", "--for", "alice", "--right=read"],
    env,
  );
  assertEquals([plain.code, plain.err], [0, ""]);
  const claims = decodeJwt(plain.out);
  assertEquals(claims.ledgers, [
    { id: "acme/todos", right: "read" },
    { id: "acme/notes", right: "read" },
  ]);
  assertEquals([claims.sub, claims.tenants], ["alice", ["acme"]]);
  assertEquals((claims.exp ?? 0) - (claims.iat ?? 0), 3600);

  const { out } = await run(
    ["token", "acme/todos", "--for", "bob", "--expires", "90d", "--json"],
    env,
  );
  const json = JSON.parse(out);
  assertEquals([json.subject, json.ledgers], ["bob", [{ id: "acme/todos", right: "write" }]]);
  assertEquals(decodeJwt(json.token).exp, Math.floor(json.expiresAt / 1000));
});

test("token --fireproof prints a token that the stock client takes for its own", async () => {
  await using folder = await makeTempFolder();
  const env = { HEARTH_DATA: join(folder.path, "data") };
  const args = ["token", "--fireproof", "acme/todos", "acme/notes", "--for", "alice"];
  const { code, out, err } = await run(args, env);
  assertEquals([code, err], [0, ""]);
  const found = await new SimpleTokenStrategy(out).tryToken();
  assert(found);
  const { claims } = found;
  assertEquals(claims.userId, "alice");
  assertEquals(claims.selected, { tenant: "acme", ledger: "todos" });
  assertEquals(claims.ledgers.map(({ id, right }) => [id, right]), [
    ["todos", "write"],
    ["notes", "write"],
  ]);
  for (const wrong of [["umbrella/todos"], ["--right", "admin"]]) {
    const refused = await run([...args, ...wrong], env);
    assertEquals([refused.code, refused.out], [2, ""]);
    assert(refused.err.includes("--fireproof"), refused.err);
  }
});

test("a damaged key is told, and not replaced", async () => {
  await using folder = await makeTempFolder();
  await writeFile(join(folder.path, "signing-key.json"), "{}");
  const { code, out, err } = await run(["token", "a/b", "--for", "x"], {
    HEARTH_DATA: folder.path,
  });
  assertEquals([code, out], [1, ""]);
  assert(err.includes("signing-key.json"), err);
});

test("serve tells where it listens and how to make a first token, and ends when it is asked to", async () => {
  await using folder = await makeTempFolder();
  const ended = new AbortController();
  const started = run(["--port", "0", "--data", folder.path], {}, ended.signal, (line) => {
    if (line.includes("first token")) ended.abort();
  });
  const { code, out } = await started;
  assertEquals(code, 0);
  assertMatch(out, /listening on http:\/\/127\.0\.0\.1:\d+ /);
  assert(out.includes(`hearth token acme/todos --right write --for alice --expires 1h --data`));
});

test("a port that is taken is told: exit 1", async () => {
  await using folder = await makeTempFolder();
  const ended = new AbortController();
  const taken = Promise.withResolvers<string>();
  const first = run(["--port", "0", "--data", join(folder.path, "a")], {}, ended.signal, (line) => {
    const port = /listening on \S+:(\d+)/.exec(line)?.[1];
    if (port) taken.resolve(port);
  });
  const port = await taken.promise;
  const second = await run(["--port", port, "--data", join(folder.path, "b")]);
  ended.abort();
  assertEquals([(await first).code, second.code], [0, 1]);
  assert(second.err.length > 0);
});
