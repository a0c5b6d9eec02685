/** Settings: defaults, flags before environment, and all mistakes at once. */

import { readFileSync } from "node:fs";
import { test } from "node:test";
import { describeMistakes, readConfig, settings } from "../src/config.ts";
import { assert, assertEquals } from "#assert";

function read(env: Readonly<Record<string, string>>, flags: Readonly<Record<string, string>> = {}) {
  return readConfig((name) => env[name], new Map(Object.entries(flags)));
}

function mistakesOf(env: Readonly<Record<string, string>>): readonly string[] {
  const found = read(env);
  assert("mistakes" in found, `nothing is wrong with ${JSON.stringify(env)}`);
  return found.mistakes.map(({ name }) => name);
}

test("nothing needs to be set", () => {
  assertEquals(read({}), {
    config: {
      port: 8787,
      host: "127.0.0.1",
      data: "./hearth-data",
      database: undefined,
      blobs: undefined,
      bus: undefined,
      publicUrl: undefined,
      origins: [],
      fireproofKeys: [],
      log: { format: "text", level: "info" },
      autoCreate: true,
    },
  });
});

test("an empty variable counts as not set", () => {
  assertEquals(read({ PORT: "", HEARTH_DATA: "", DATABASE_URL: "" }), read({}));
});

test("a flag wins over the environment", () => {
  const found = read({ PORT: "1", HEARTH_HOST: "::1" }, { port: "2" });
  assert("config" in found);
  assertEquals([found.config.port, found.config.host], [2, "::1"]);
});

test("every setting can be set", () => {
  // The base point of P-256.
  const jwk = {
    kty: "EC",
    crv: "P-256",
    x: "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY",
    y: "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU",
  } as const;
  const found = read({
    DATABASE_URL: "postgres://u:p@db.example/hearth",
    HEARTH_BLOBS: "s3://bucket/prefix?region=eu-1",
    HEARTH_BUS: "nats://bus.example:4222",
    HEARTH_PUBLIC_URL: "https://sync.example/hearth/",
    HEARTH_ORIGINS: "https://a.example, http://b.example:8080",
    CLOUD_SESSION_TOKEN_PUBLIC: JSON.stringify(jwk),
    HEARTH_LOG: "json,debug",
    HEARTH_AUTO_CREATE: "off",
  });
  assert("config" in found);
  const { port: _port, host: _host, data: _data, ...rest } = found.config;
  assertEquals(rest, {
    database: "postgres://u:p@db.example/hearth",
    blobs: "s3://bucket/prefix?region=eu-1",
    bus: "nats://bus.example:4222",
    publicUrl: "https://sync.example/hearth",
    origins: ["https://a.example", "http://b.example:8080"],
    fireproofKeys: [jwk],
    log: { format: "json", level: "debug" },
    autoCreate: false,
  });
});

test("values that are not allowed are refused, one by one", () => {
  const wrong: readonly (readonly [string, readonly string[]])[] = [
    ["PORT", ["x", "-1", "65536", "8787.5", "0x50", "8787 "]],
    ["HEARTH_HOST", ["a b", "http://x"]],
    ["DATABASE_URL", ["mysql://h/d", "postgres", "postgres:///d"]],
    ["HEARTH_BLOBS", ["https://s3.example/b", "s3://"]],
    ["HEARTH_BUS", ["redis://h", "nats"]],
    ["HEARTH_PUBLIC_URL", ["sync.example", "ftp://x", "https://x/?a=b", "https://u:p@x/"]],
    ["HEARTH_ORIGINS", ["a.example", "https://a.example/", "https://a.example/path", "null"]],
    ["CLOUD_SESSION_TOKEN_PUBLIC", ["something", "z11", "{}"]],
    ["HEARTH_LOG", ["loud", "text;info"]],
    ["HEARTH_AUTO_CREATE", ["true", "OFF", "0"]],
  ];
  for (const [name, values] of wrong) {
    for (const value of values) assertEquals(mistakesOf({ [name]: value }), [name], value);
  }
});

test("what this release cannot serve is refused rather than ignored", () => {
  assertEquals(mistakesOf({ HEARTH_ISSUERS: "something" }), ["HEARTH_ISSUERS"]);
});

test("all mistakes are told at once, with what is allowed, but no secrets", () => {
  const found = read({
    PORT: "x",
    DATABASE_URL: "mysql://u:secret@h/d",
    CLOUD_SESSION_TOKEN_PUBLIC: '{"kty":"EC","d":"secret"}',
  }, { log: "loud" });
  assert("mistakes" in found);
  const text = describeMistakes(found.mistakes);
  for (
    const part of ["PORT", '"x"', "0 to 65535", "--log", '"loud"', "text or json", "DATABASE_URL"]
  ) {
    assert(text.includes(part), `${part} in ${text}`);
  }
  assert(!text.includes("secret"));
});

test("the permissions of `deno task start` name every variable that is read", () => {
  const { tasks } = JSON.parse(readFileSync(new URL("../deno.json", import.meta.url), "utf8"));
  const start: string = tasks.start.command ?? tasks.start;
  const allowed = /--allow-env=(\S+)/.exec(start)?.[1]?.split(",") ?? [];
  const needed = Object.values(settings).map(({ env }) => env);
  readConfig((name) => void needed.push(name), new Map());
  assertEquals(needed.filter((name) => !allowed.includes(name)), []);
});
