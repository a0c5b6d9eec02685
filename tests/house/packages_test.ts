/** One list of dependencies, one version, and twins that are equal. */

import { test } from "node:test";
import { assert, assertEquals } from "#assert";
import { isThere, packageOf, readSources, readText } from "./sources.ts";

/** What the tests read of the manifests. */
interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly exports: Readonly<Record<string, string>>;
  readonly publish: { readonly include: readonly string[] };
}

interface Packages {
  readonly name: string;
  readonly exports: Readonly<Record<string, string>>;
  readonly license: string;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

const deno: Manifest & { readonly imports?: unknown } = JSON.parse(readText("deno.json"));
const packages: Packages = JSON.parse(readText("package.json"));
const published = readSources("src", "mod.ts", "server.ts");

test("jsr.json is the twin of deno.json", () => {
  const { name, version, license, exports, publish } = deno;
  assertEquals(JSON.parse(readText("jsr.json")), { name, version, license, exports, publish });
});

test("package.json has the same name and entry points, so that examples work in a checkout as written", () => {
  const { name, exports, license } = packages;
  assertEquals({ name, exports, license }, {
    name: deno.name,
    exports: deno.exports,
    license: deno.license,
  });
});

test("every entry point that is exported is there, and is published", () => {
  for (const path of Object.values(deno.exports)) {
    assert(isThere(path), path);
    const file = path.replace(/^\.\//, "");
    const included = deno.publish.include.some((it) =>
      it === file || file.startsWith(it.replace("**/*.ts", "")) && it.endsWith("**/*.ts")
    );
    assert(included, `${file} is not published`);
  }
});

test("package.json is the one list of versions", () => {
  assertEquals(deno.imports, undefined);
  for (const { path, code } of readSources("src", "tests", "bench", "mod.ts", "server.ts")) {
    assert(!/from\s+"(npm|jsr|https?):/.test(code), `${path} names a registry`);
  }
});

test("the sources import what package.json declares for those who install it", () => {
  const declared = new Set(Object.keys({ ...packages.dependencies, ...packages.peerDependencies }));
  assertEquals(published.flatMap(undeclared(declared)), []);
});

test("tests and benchmarks import what package.json declares", () => {
  const declared = new Set(
    Object.keys({
      ...packages.dependencies,
      ...packages.peerDependencies,
      ...packages.devDependencies,
    }),
  );
  assertEquals(readSources("tests", "bench").flatMap(undeclared(declared)), []);
});

test("every dependency is used", () => {
  const used = new Set(published.flatMap(({ imports }) => imports.map((it) => packageOf(it))));
  const names = Object.keys({ ...packages.dependencies, ...packages.peerDependencies });
  assertEquals(names.filter((name) => !used.has(name)), []);
});

test("a peer dependency is a development dependency of the same version, since Deno resolves no peers", () => {
  for (const [name, version] of Object.entries(packages.peerDependencies)) {
    assertEquals(packages.devDependencies[name], version, name);
  }
});

test("the sources tell the version in one place at most, and it is that of deno.json", () => {
  const told = published.flatMap(({ path, code }) =>
    [...code.matchAll(/["'`/](\d+\.\d+\.\d+)["'`]/g)].map(([, version]) => ({ path, version }))
  );
  assert(told.length <= 1, JSON.stringify(told));
  for (const { path, version } of told) assertEquals(version, deno.version, path);
});

test("the CHANGELOG knows the version", () => {
  assert(readText("CHANGELOG.md").includes(`## ${deno.version}`));
});

function undeclared(declared: ReadonlySet<string>) {
  return ({ path, imports }: { readonly path: string; readonly imports: readonly string[] }) =>
    imports.map((it) => packageOf(it))
      .filter((it) => it !== undefined && it !== deno.name && !declared.has(it))
      .map((it) => `${path} imports ${it}`);
}
