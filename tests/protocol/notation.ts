/** Writes schemas in the notation of PROTOCOL.md, so that the document and the pin follow the code. */

import type * as v from "valibot";
import {
  blobAnswerSchema,
  blobListingSchema,
  blobRefSchema,
  blobUploadSchema,
  bytesSchema,
  changesSchema,
  cidSchema,
  countSchema,
  cursorSchema,
  digestSchema,
  directRequestSchema,
  keySchema,
  ledgerSchema,
  limitsSchema,
  metaSchema,
  storeSchema,
  tokenSchema,
} from "../../src/protocol/model.ts";

/** Schemas that the document defines once and then names. */
export const named: Readonly<Record<string, v.GenericSchema>> = {
  ledger: ledgerSchema,
  cid: cidSchema,
  cursor: cursorSchema,
  token: tokenSchema,
  key: keySchema,
  store: storeSchema,
  digest: digestSchema,
  BlobRef: blobRefSchema,
  BlobUpload: blobUploadSchema,
  DirectRequest: directRequestSchema,
  BlobAnswer: blobAnswerSchema,
  BlobListing: blobListingSchema,
  Meta: metaSchema,
  Changes: changesSchema,
  Limits: limitsSchema,
};

const basic: ReadonlyMap<unknown, string> = new Map<unknown, string>([
  [countSchema, "uint"],
  [bytesSchema, "bin"],
]);
const names: ReadonlyMap<unknown, string> = new Map(
  Object.entries(named).map(([name, schema]) => [schema, name]),
);

/** What all schemas of the library have in common, as far as the notation looks. */
interface Part {
  readonly type: string;
  readonly pipe?: readonly [Part, ...Part[]];
  readonly wrapped?: Part;
  readonly key?: Part;
  readonly value?: Part;
  readonly item?: Part;
  readonly items?: readonly Part[];
  readonly entries?: Readonly<Record<string, Part>>;
  readonly options?: readonly (string | number)[];
  readonly literal?: string | number;
  readonly default?: unknown;
  readonly requirement?: unknown;
  readonly message?: unknown;
}

/** Writes a schema; one that has a name by its name. */
export function notate(schema: v.GenericSchema): string {
  return reference(schema);
}

/** Writes out a schema that has a name. */
export function define(schema: v.GenericSchema): string {
  return body(schema);
}

function reference(part: Part): string {
  return names.get(part) ?? basic.get(part) ?? body(part);
}

function body(part: Part): string {
  const known = basic.get(part);
  if (known) return known;
  if (!part.pipe) return plain(part);
  const [first, ...checks] = part.pipe;
  // A pipe begins with the schema itself or with one that has a name of its own.
  return [reference(first), ...checks.map(check)].join(" ");
}

function plain(part: Part): string {
  switch (part.type) {
    case "string":
      return "str";
    case "boolean":
      return "bool";
    case "unknown":
      return "any";
    case "number":
      return "number";
    case "literal":
      return JSON.stringify(part.literal);
    case "picklist":
      return (part.options ?? []).map((option) => JSON.stringify(option)).join(" | ");
    case "nullable":
      return `${inner(part)} | nil`;
    case "array":
      return `[${part.item ? reference(part.item) : ""}]`;
    case "optional":
      return inner(part);
    case "record":
      return `{ ${part.key ? reference(part.key) : ""}: ${
        part.value ? reference(part.value) : ""
      } }`;
    case "strict_object":
      return record(part);
    default:
      throw new RangeError(`Cannot write a schema of type "${part.type}"`);
  }
}

function record({ entries = {} }: Part): string {
  const fields = Object.entries(entries).map(([name, part]) => {
    if (part.type !== "optional") return `${name}: ${reference(part)}`;
    const absent = part.default === undefined ? "" : ` = ${JSON.stringify(part.default)}`;
    return `${name}?: ${inner(part)}${absent}`;
  });
  return fields.length === 0 ? "{}" : `{ ${fields.join(", ")} }`;
}

function inner(part: Part): string {
  return part.wrapped ? reference(part.wrapped) : "";
}

function check({ type, requirement, message }: Part): string {
  switch (type) {
    case "max_length":
    case "max_value":
      return `≤${requirement}`;
    case "min_length":
    case "min_value":
      return `≥${requirement}`;
    case "integer":
    case "safe_integer":
      return "whole";
    case "regex":
      return `${requirement}`;
    case "check":
      return `(${message})`.replace(/^\(exceeds (\d+) bytes\)$/, "≤$1").replace("(is no ", "(");
    default:
      throw new RangeError(`Cannot write a check of type "${type}"`);
  }
}
