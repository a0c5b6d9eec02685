/** Rows as a table for people. */

import type { Row } from "./row.ts";

const head = ["name", "value", "unit", "ratio", "reach", "reached", "read against"];

/** The table, with a line for its head. */
export function formatTable(rows: readonly Row[]): string {
  const lines = [head, ...rows.map(toCells)];
  const widths = head.map((_, column) => Math.max(...lines.map((it) => it[column]?.length ?? 0)));
  return lines.map((cells) =>
    cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd()
  ).join("\n");
}

function toCells({ name, value, unit, against, ratio, reach, reached }: Row): string[] {
  const answer = reached === null ? "" : reached ? "yes" : "NO";
  return [name, String(value), unit, String(ratio), reach ?? "", answer, against];
}
