/** What the documents point to is there. */

import { test } from "node:test";
import { assertEquals } from "#assert";
import { isThere, readText } from "./sources.ts";

const documents = [
  "README.md",
  "PROTOCOL.md",
  "CONTRIBUTING.md",
  "CHANGELOG.md",
  "SECURITY.md",
  "LICENSE",
];

test("files that the documents name are there", () => {
  const wrong = documents.flatMap((document) => {
    const text = readText(document);
    const named = [...text.matchAll(/`((?:src|tests|bench|\.ci)\/[\w./-]*)`/g)];
    const linked = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g)];
    return [...named, ...linked].map(([, path = ""]) => path).filter((path) => !isThere(path))
      .map((path) => `${document} names ${path}`);
  });
  assertEquals(wrong, []);
});

test("tasks that the documents name are there", () => {
  const { tasks } = JSON.parse(readText("deno.json"));
  const wrong = documents.flatMap((document) =>
    [...readText(document).matchAll(/deno task ([\w:]+)/g)].map(([, task = ""]) => task)
      .filter((task) => !Object.hasOwn(tasks, task)).map((task) => `${document} names ${task}`)
  );
  assertEquals(wrong, []);
});

test("settings that the README names are those that the server knows", () => {
  const config = readText("src/config.ts");
  const named = new Set(readText("README.md").match(/\bHEARTH_(?!TEST)\w+\b/g));
  assertEquals([...named].filter((name) => !config.includes(`"${name}"`)), []);
});
