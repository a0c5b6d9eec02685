/** Rows as tables for people. */

import type { Row } from "./row.ts";

const head = ["name", "value", "unit", "ratio", "reach", "reached", "read against"];
const partsHead = ["p50", "p99", "share"];

/** The table, with a line for its head; below it one for each row that was taken apart. */
export function formatTable(rows: readonly Row[]): string {
  return [
    formatLines([head, ...rows.map(toCells)]),
    ...rows.flatMap((row) => row.parts ? [formatParts(row)] : []),
  ].join("\n\n");
}

function formatParts({ name, unit, parts = [] }: Row): string {
  const lines = parts.map(({ name, p50, p99, share }) => [name, ...[p50, p99, share].map(String)]);
  return formatLines([[`${name}, ${unit}`, ...partsHead], ...lines]);
}

function formatLines(lines: readonly (readonly string[])[]): string {
  const widths = lines[0]?.map((_, column) =>
    Math.max(...lines.map((it) => it[column]?.length ?? 0))
  );
  return lines.map((cells) =>
    cells.map((cell, column) => cell.padEnd(widths?.[column] ?? 0)).join("  ").trimEnd()
  ).join("\n");
}

function toCells({ name, value, unit, against, ratio, reach, reached }: Row): string[] {
  const answer = reached === null ? "" : reached ? "yes" : "NO";
  return [name, String(value), unit, String(ratio), reach ?? "", answer, against];
}
