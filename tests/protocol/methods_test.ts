/** The table of methods is strict. */

import { test } from "node:test";
import { assert, assertThrows } from "#assert";
import { HearthError } from "../../src/protocol/errors.ts";
import {
  isMethodName,
  isNotificationName,
  type MethodName,
  methods,
  type NotificationName,
  notifications,
} from "../../src/protocol/methods.ts";
import { parseNotice, parseParams } from "../../src/protocol/parse.ts";
import { notate } from "./notation.ts";
import { noticeOf, otherCid, paramsOf } from "./samples.ts";

// The keys of a table are its names: the compiler widens them to strings.
const methodNames = Object.keys(methods) as MethodName[];
const notificationNames = Object.keys(notifications) as NotificationName[];

for (const name of methodNames) {
  test(`${name} takes its own parameters and nothing else`, () => {
    assertStrict((value) => parseParams(name, value), paramsOf[name]);
  });
}

for (const name of notificationNames) {
  test(`${name} takes its own body and nothing else`, () => {
    assertStrict((value) => parseNotice(name, value), noticeOf[name]);
  });
}

/** One value of each type. */
const typed: readonly unknown[] = [
  null,
  true,
  0.5,
  "text",
  new Uint8Array([1]),
  [null],
  { some: "field" },
];

/** Passes when the sample is taken, and refused with any field of another type or too many. */
function assertStrict(parse: (value: unknown) => unknown, sample: object): void {
  parse(sample);
  for (const value of [...typed, [], new Uint8Array(0), undefined]) assertRefused(parse, value);
  for (const spoiled of variations(sample)) assertRefused(parse, spoiled);
}

function assertRefused(parse: (value: unknown) => unknown, value: unknown): void {
  const error = assertThrows(
    () => parse(value),
    `accepted ${JSON.stringify(value)?.slice(0, 500)}`,
  );
  assert(error instanceof HearthError && error.code === "BAD_PARAMS", `${error}`);
}

/** The value with one thing wrong, at every depth. */
function* variations(value: unknown): Generator<unknown> {
  if (Array.isArray(value)) {
    for (const item of value) {
      for (const other of [...otherTypes(item), ...variations(item)]) yield [...value, other];
    }
  } else if (typeof value === "object" && value !== null && !(value instanceof Uint8Array)) {
    for (const name of ["unknown", "constructor", "__proto__"]) {
      yield Object.fromEntries([...Object.entries(value), [name, null]]);
    }
    for (const [name, field] of Object.entries(value)) {
      for (const other of [...otherTypes(field), ...variations(field)]) {
        // Only this field may be nil as well.
        if (other !== null || name !== "after") yield { ...value, [name]: other };
      }
    }
  }
}

function otherTypes(value: unknown): readonly unknown[] {
  return typed.filter((other) => nameType(other) !== nameType(value));
}

function nameType(value: unknown): string {
  if (value === null || typeof value !== "object") {
    // A fraction fits nowhere: every number of the protocol is whole.
    return value === 0.5 ? "fraction" : value === null ? "nil" : typeof value;
  }
  return Array.isArray(value) ? "list" : value instanceof Uint8Array ? "binary" : "map";
}

/** Fields of the right type that are out of bounds. */
const outOfBounds: readonly (readonly [MethodName, Readonly<Record<string, unknown>>])[] = [
  ["hello", { version: -1 }],
  ["hello", { version: 2 ** 53 }],
  ["hello", { token: "x".repeat(8_193) }],
  ["hello", { client: "x".repeat(129) }],
  ["commit", { ledger: "" }],
  ["commit", { ledger: "acme" }],
  ["commit", { ledger: "acme/" }],
  ["commit", { ledger: "/todos" }],
  ["commit", { ledger: "acme/todos/more" }],
  ["commit", { ledger: "acme/../todos" }],
  ["commit", { ledger: "../todos" }],
  ["commit", { ledger: "acme/." }],
  ["commit", { ledger: "acme/to dos" }],
  ["commit", { ledger: "acme/todos\n" }],
  ["commit", { ledger: "acme\\todos" }],
  ["commit", { ledger: "acme/%2e%2e" }],
  ["commit", { ledger: "acme/t\u00f6dos" }],
  ["commit", { ledger: `acme/${"x".repeat(65)}` }],
  ["commit", { supersedes: ["QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKsvTz"] }],
  ["commit", { supersedes: Array.from({ length: 1_001 }, () => otherCid) }],
  ["commit", { keys: [""] }],
  ["commit", { keys: ["x".repeat(8_193)] }],
  ["commit", { keys: Array.from({ length: 65 }, (_, at) => `key ${at}`) }],
  ["commit", { blobs: [{ store: "car", cid: otherCid }] }],
  ["commit", { blobs: [{ store: "car", cid: otherCid, size: 1 }] }],
  ["commit", { blobs: [{ store: "car", cid: otherCid, digest: new Uint8Array(32) }] }],
  ["commit", { blobs: [{ store: "car", cid: otherCid, digest: new Uint8Array(31), size: 1 }] }],
  ["commit", { blobs: [{ store: "meta", cid: otherCid, bytes: new Uint8Array(1) }] }],
  ["commit", { metas: [{ cid: otherCid, data: new Uint8Array(65_537) }] }],
  ["commit", { metas: [{ cid: "constructor", data: new Uint8Array(1) }] }],
  ["signUrl", { method: "DELETE" }],
  ["signUrl", { method: "get" }],
  ["signUrl", { digest: undefined }],
  ["signUrl", { size: undefined }],
  ["signUrl", { digest: new Uint8Array(33) }],
  ["watch", { cursor: "x".repeat(129) }],
  ["poll", { waitMs: 30_001 }],
  ["getWal", { name: "" }],
  ["getWal", { name: "a/b" }],
  ["getWal", { name: "x".repeat(129) }],
  ["putWal", { bytes: new Uint8Array(65_537) }],
  ["putWal", { version: -1 }],
  ["tell", { body: new Uint8Array(16_385) }],
];

test("no method takes a field that is out of bounds", () => {
  for (const [name, fields] of outOfBounds) {
    assertRefused((value) => parseParams(name, value), { ...paramsOf[name], ...fields });
  }
});

test("every list, text and binary that a client may send has an upper bound", () => {
  // A blob's bytes are bounded by the message, and the others by the name they go under.
  const bounded = /^(store|cid|cursor|token|digest|key|ledger|uint|bool|BlobRef|BlobUpload|Meta)$/;
  for (const name of methodNames) {
    const fields = notate(methods[name].params).replace(/ \([^)]*\)$/, "").replace(
      /^\{ ?| ?\}$/g,
      "",
    );
    for (const field of fields.split(/, (?=\w+\??: )/)) {
      const type = field.replace(/^\w+\??: /, "").replace(/ = .*$/, "");
      const fine = bounded.test(type) || type.includes("≤") ||
        /^str \/.*\{1,\d+\}\$\/$/.test(type) ||
        /^"\w+"( \| "\w+")*$/.test(type);
      assert(fine, `${name}: ${field}`);
    }
  }
});

test("isMethodName() and isNotificationName() know their names and no inherited ones", () => {
  for (const name of methodNames) assert(isMethodName(name));
  for (const name of notificationNames) assert(isNotificationName(name));
  for (
    const name of ["", "constructor", "__proto__", "toString", "hasOwnProperty", "Hello", "hello "]
  ) {
    assert(!isMethodName(name), name);
    assert(!isNotificationName(name), name);
  }
});
