/** The rooms of the house: arrows point down, there are no circles, and each third party has one home. */

import { test } from "node:test";
import { assert, assertEquals } from "#assert";
import { isThere, packageOf, readSources, type Source } from "./sources.ts";

const sources = readSources("src", "mod.ts", "server.ts");

/** Which rooms each room may import from, besides itself. */
const below: Readonly<Record<string, readonly string[]>> = {
  base: [],
  protocol: ["base"],
  transport: ["base", "protocol"],
  client: ["base", "protocol", "transport"],
  gateway: ["base", "protocol", "transport", "client"],
  sts: ["base", "protocol"],
  backend: ["base", "protocol", "sts"],
  config: ["protocol", "sts"],
  cli: ["base", "protocol", "transport", "client", "sts", "backend", "config"],
  "mod.ts": ["protocol", "client", "gateway"],
  "server.ts": ["cli", "config", "backend", "sts", "protocol"],
};

/** Rooms that also run in a browser. */
const runtimeFree = ["base", "protocol", "transport", "client", "gateway"];

/** Where each third party lives: a room, or one file of it. */
const homes: Readonly<Record<string, readonly string[]>> = {
  valibot: ["src/protocol/", "src/sts/", "src/backend/", "src/config.ts"],
  "@ipld/dag-cbor": ["src/backend/fireproof/meta_block.ts"],
  jose: ["src/sts/"],
  aws4fetch: ["src/backend/stores/s3_client.ts"],
  hono: ["src/backend/"],
  "@hono/node-server": ["src/backend/"],
  ws: ["src/backend/"],
  postgres: ["src/backend/stores/postgres_session.ts", "src/backend/bus/postgres_bus.ts"],
  "@nats-io/transport-node": ["src/backend/bus/nats_bus.ts"],
  "@fireproof/core": ["src/gateway/"],
  "@fireproof/core-gateways-base": ["src/gateway/"],
  "@fireproof/core-types-blockstore": ["src/gateway/"],
  "@adviser/cement": ["src/gateway/"],
  multiformats: ["src/gateway/"],
};

test("every source file lies in a room that the plan knows", () => {
  for (const { path } of sources) assert(below[roomOf(path)], path);
});

test("arrows point down", () => {
  const wrong = sources.flatMap(({ path, imports }) => {
    const room = roomOf(path);
    return imports.filter((it) => it.endsWith(".ts"))
      .filter((it) => roomOf(it) !== room && !below[room]?.includes(roomOf(it)))
      .map((it) => `${path} imports ${it}`);
  });
  assertEquals(wrong, []);
});

test("every imported file is there", () => {
  const wrong = sources.flatMap(({ path, imports }) =>
    imports.filter((it) => it.endsWith(".ts") && !isThere(it)).map((it) => `${path} imports ${it}`)
  );
  assertEquals(wrong, []);
});

test("no file imports itself in the end, types included", () => {
  assertEquals(findCycle(sources), undefined);
  const planted = [["a", "b"], ["b", "c"], ["c", "a"], ["d", "a"]];
  const circle = planted.map(([path = "", to = ""]): Source => ({ path, code: "", imports: [to] }));
  assertEquals(findCycle(circle), ["a", "b", "c", "a"]);
});

test("what runs in a browser uses web standards alone", () => {
  const names =
    /\bnode:|\b(Deno|Bun|process)\s*[.[]|\bBuffer\b|\bsetImmediate\b|(?<![.#\w])require\s*\(/;
  const wrong = sources.filter(({ path }) => runtimeFree.includes(roomOf(path)))
    .flatMap(({ path, code }) => {
      const line = code.split("\n").find((text) => names.test(text));
      return line === undefined ? [] : [`${path}: ${line.trim()}`];
    });
  assertEquals(wrong, []);
});

test("nothing names a runtime", () => {
  const wrong = sources.filter(({ code }) => /\b(Deno|Bun)\s*[.[]/.test(code));
  assertEquals(wrong.map(({ path }) => path), []);
});

test("each third party has one home", () => {
  const wrong = sources.flatMap(({ path, imports }) =>
    imports.map((it) => packageOf(it)).filter((it) => it !== undefined)
      .filter((it) => !homes[it]?.some((home) => path.startsWith(home)))
      .map((it) => `${path} imports ${it}`)
  );
  assertEquals(wrong, []);
});

/** `src/client/link.ts` is in `client`, `src/config.ts` in `config`; files at the root stand alone. */
function roomOf(path: string): string {
  const [top = "", room = ""] = path.split("/");
  return top === "src" ? room.replace(/\.ts$/, "") : top;
}

/** The first circle of imports found, or nothing. */
function findCycle(all: readonly Source[]): readonly string[] | undefined {
  const byPath = new Map(all.map((source) => [source.path, source]));
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): readonly string[] | undefined => {
    const seen = trail.indexOf(path);
    if (seen >= 0) return [...trail.slice(seen), path];
    if (done.has(path)) return undefined;
    for (const next of byPath.get(path)?.imports ?? []) {
      const cycle = visit(next, [...trail, path]);
      if (cycle) return cycle;
    }
    done.add(path);
    return undefined;
  };
  for (const { path } of all) {
    const cycle = visit(path, []);
    if (cycle) return cycle;
  }
  return undefined;
}
