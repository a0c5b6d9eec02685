/** The project's source files with what each imports, for tests of the house. */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

/** A source file. */
export interface Source {
  /** Its path below the project's root, with `/` between. */
  readonly path: string;
  /** Its text without comments. */
  readonly code: string;
  /** What it imports, types included: files by their path, packages by their specifier. */
  readonly imports: readonly string[];
}

const root = fileURLToPath(new URL("../../", import.meta.url));

/** Reads a text file of the project. */
export function readText(path: string): string {
  return readFileSync(join(root, path), "utf8");
}

/** Whether the project has the file or folder. */
export function isThere(path: string): boolean {
  return existsSync(join(root, path));
}

/** The sources at these paths (files or folders), those that are there. */
export function readSources(...paths: readonly string[]): readonly Source[] {
  return paths.filter(isThere).flatMap(listFiles).map(readSource);
}

/** The package of a specifier, or nothing for a file, a `#` alias or what the runtime brings. */
export function packageOf(specifier: string): string | undefined {
  if (/^(node:|#)/.test(specifier) || specifier.endsWith(".ts")) return undefined;
  return /^(@[^/]+\/[^/]+|[^/]+)/.exec(specifier)?.[1];
}

function listFiles(path: string): string[] {
  if (path.endsWith(".ts")) return [path];
  return readdirSync(join(root, path), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts") && !file.includes("node_modules"))
    .map((file) => `${path}/${file.split(sep).join("/")}`).sort();
}

function readSource(path: string): Source {
  const code = stripComments(readText(path));
  // Statements with `from`, bare imports, and imports at run time of a literal.
  const pattern = /\bfrom\s+"([^"\n]+)"|\bimport\s*\(?\s*"([^"\n]+)"/g;
  const imports = [...code.matchAll(pattern)].map(([, from, bare]) => from ?? bare ?? "")
    .map((specifier) => specifier.startsWith(".") ? resolve(path, specifier) : specifier);
  return { path, code, imports: [...new Set(imports)] };
}

function stripComments(text: string): string {
  return text.replaceAll(/^\s*\/\*[\s\S]*?\*\//gm, "").replaceAll(/(^|\s)\/\/.*$/gm, "");
}

function resolve(from: string, specifier: string): string {
  return relative(root, join(root, dirname(from), specifier)).split(sep).join("/");
}
