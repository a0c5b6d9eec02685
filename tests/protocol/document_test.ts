/** PROTOCOL.md says what the code does: its tables, signatures and vectors are compared. */

import { readFileSync } from "node:fs";
import { test } from "node:test";
import { assert, assertEquals } from "#assert";
import { codes } from "../../src/protocol/errors.ts";
import {
  defaultHeartbeatMs,
  defaultLimits,
  heartbeatGraceMs,
  helloTimeoutMs,
  maxWaitMs,
} from "../../src/protocol/limits.ts";
import { type MethodName, methods, notifications } from "../../src/protocol/methods.ts";
import { contentType, paths, protocolVersion, subprotocol } from "../../src/protocol/version.ts";
import { readVectors } from "../golden/golden.ts";
import { define, named, notate } from "./notation.ts";

const document = readFileSync(new URL("../../PROTOCOL.md", import.meta.url), "utf8");
// The keys of the table are its names: the compiler widens them to strings.
const methodNames = Object.keys(methods) as MethodName[];

test("the document names this version, its subprotocol, media type and paths", () => {
  assertEquals(document.split("\n")[0], `# ${subprotocol}`);
  for (const text of [contentType, ...Object.values(paths)]) assert(document.includes(text), text);
  assert(section("5").includes(`\`version\` is ${protocolVersion}.`));
});

test("the document defines the records as the schemas do", () => {
  const written = fences(section("6"), "hearth").join("\n").split(/\n(?! )/).map(oneLine);
  assertEquals(written, Object.entries(named).map(([name, it]) => `${name} = ${define(it)}`));
});

test("the document lists every method with its access and transport", () => {
  const written = rows(section("7")).map(([name, access, over]) => [name, access, over]);
  const known = methodNames.map((name) => {
    const { access, over } = methods[name];
    return [`\`${name}\``, typeof access === "string" ? access : "read / write", over];
  });
  assertEquals(written, known);
});

test("the document writes every method's parameters and result", () => {
  const [, ...parts] = section("7").split(/^### /m);
  const written = parts.map((part) => [
    part.split("\n")[0],
    ...fences(part, "hearth").join("\n").split(/\n(?! )/).map(oneLine),
  ]);
  const known = methodNames.map((name) => [
    `\`${name}\``,
    `params ${notate(methods[name].params)}`,
    `result ${notate(methods[name].result)}`,
  ]);
  assertEquals(written, known);
});

test("the document lists every notification with its body", () => {
  const written = rows(section("8")).map(([name, , body]) => [name, body]);
  const known = Object.entries(notifications).map((
    [name, schema],
  ) => [`\`${name}\``, `\`${notate(schema)}\``]);
  assertEquals(written, known);
});

test("the document lists every error code with its status, close code, advice and meaning", () => {
  const known = Object.entries(codes).map(([code, { status, retry, meaning, ...row }]) => [
    `\`${code}\``,
    String(status),
    "close" in row ? String(row.close) : "",
    retry,
    meaning,
  ]);
  assertEquals(rows(section("14")), known);
});

test("the document lists the limits", () => {
  const known = Object.entries(defaultLimits).map(([name, value]) => [`\`${name}\``, `${value}`]);
  const fixed = [helloTimeoutMs, defaultHeartbeatMs, heartbeatGraceMs, maxWaitMs];
  const written = rows(section("15")).map(([name, value]) => [name, value]);
  assertEquals(written.slice(0, known.length), known);
  assertEquals(
    written.slice(known.length + 1).map(([, bound]) => bound),
    fixed.map((ms) => `${ms} ms`),
  );
});

test("the document shows the golden vectors", () => {
  const [, ...parts] = section("18").split(/^#### /m);
  const written = parts.map((part) => ({
    name: part.split("\n")[0],
    value: JSON.parse(fences(part, "json").join("")),
    hex: fences(part, "hex").join("").replaceAll(/\s/g, ""),
  }));
  const known = readVectors(protocolVersion).map(({ name, value, hex }) => ({ name, value, hex }));
  assertEquals(written, known);
});

test("the document's invariants are numbered without gaps, and its links lead somewhere", () => {
  const [, ...numbers] = [...section("16").matchAll(/^(\d+)\. /gm)].map(([, number]) =>
    Number(number)
  );
  assertEquals(numbers, numbers.map((_, at) => at + 1));
  assert(numbers.length > 10);
  const headings = [...document.matchAll(/^#+ (.*)$/gm)].map(([, text]) => toAnchor(text ?? ""));
  for (const [, anchor] of document.matchAll(/\]\(#([^)]+)\)/g)) {
    assert(headings.includes(anchor ?? ""), `#${anchor}`);
  }
  for (const [, number] of document.matchAll(/§(\d+)/g)) section(number ?? "");
});

/** The text of a numbered section. */
function section(number: string): string {
  const found = document.split(/^## /m).find((part) => part.startsWith(`${number}. `));
  assert(found !== undefined, `PROTOCOL.md has no section ${number}`);
  return found;
}

/** The fenced blocks of a language. */
function fences(text: string, language: string): string[] {
  return [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)]
    .filter(([, found]) => found === language).map(([, , body]) => (body ?? "").trimEnd());
}

/** The rows of all tables but their heads. */
function rows(text: string): string[][] {
  return text.split("\n").filter((line) => line.startsWith("| ")).slice(1)
    .filter((line) => !/^\|[-|]+\|$/.test(line))
    .map((line) =>
      line.slice(1, -1).split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"))
    );
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ");
}

function toAnchor(heading: string): string {
  return heading.toLowerCase().replaceAll(/[^a-z0-9 -]/g, "").replaceAll(" ", "-");
}
