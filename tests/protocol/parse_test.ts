/** What is refused at the door is named by its place, never by its content. */

import { test } from "node:test";
import { assert, assertEquals, assertThrows } from "#assert";
import { HearthError } from "../../src/protocol/errors.ts";
import type { MethodName } from "../../src/protocol/methods.ts";
import { parseNotice, parseParams, parseResult } from "../../src/protocol/parse.ts";
import { cid, paramsOf } from "./samples.ts";

test("parseParams() fills in what may be left out", () => {
  assertEquals(parseParams("commit", { ledger: "acme/todos" }), {
    ledger: "acme/todos",
    blobs: [],
    metas: [],
    keys: [],
    supersedes: [],
    retires: [],
  });
  assertEquals(parseParams("listBlobs", { ledger: "acme/todos", store: "car" }), {
    ledger: "acme/todos",
    store: "car",
    limit: 1000,
  });
  assertEquals(parseParams("watch", { ledger: "acme/todos" }), {
    ledger: "acme/todos",
    inventory: false,
  });
  assertEquals(parseParams("poll", { ledger: "acme/todos" }), {
    ledger: "acme/todos",
    inventory: false,
    waitMs: 0,
  });
});

const messages: readonly (readonly [MethodName, unknown, string])[] = [
  ["hello", {}, "version is missing"],
  ["hello", [], "the value is no map"],
  ["hello", null, "the value is no map"],
  ["hello", new Uint8Array(0), "the value is no map"],
  ["hello", { version: "1" }, "version expected number"],
  ["hello", { version: 1.5 }, "version must be an integer"],
  ["hello", { version: -1 }, "version expected >=0"],
  ["hello", { version: 1, secret: 1 }, "the value has an unknown field"],
  ["tell", { ledger: "acme/todos", body: "text" }, "body must be binary"],
  ["tell", { ledger: "acme", body: new Uint8Array(1) }, "ledger is no tenant/ledger"],
  [
    "missing",
    { ledger: "acme/todos", blobs: [{ store: "car", cid }, { store: "tape", cid }] },
    'blobs.1.store expected ("car" | "file")',
  ],
  [
    "missing",
    { ledger: "acme/todos", blobs: [{ store: "car", cid: cid.toUpperCase() }] },
    "blobs.0.cid is no CID (v1, base32, sha2-256)",
  ],
  [
    "missing",
    { ledger: "acme/todos", blobs: [{ store: "car", cid, secret: 1 }] },
    "blobs.0 has an unknown field",
  ],
  [
    "commit",
    { ledger: "acme/todos", blobs: [{ store: "car", cid }] },
    "blobs.0 needs `bytes`, or `digest` and `size` of what was uploaded",
  ],
  [
    "listBlobs",
    { ledger: "acme/todos", store: "car", limit: 0 },
    "limit expected >=1",
  ],
  [
    "listBlobs",
    { ledger: "acme/todos", store: "car", limit: 1001 },
    "limit expected <=1000",
  ],
  [
    "signUrl",
    { ledger: "acme/todos", method: "PUT", store: "car", cid },
    "the value a PUT needs `digest` and `size`",
  ],
];

test("parseParams() names the first field that does not fit", () => {
  for (const [method, params, message] of messages) {
    const error = assertThrows(() => parseParams(method, params));
    assertEquals(error.message, `Cannot read ${method} parameters: ${message}`);
  }
});

test("parseResult() and parseNotice() say what they were reading", () => {
  assertEquals(
    assertThrows(() => parseResult("commit", {})).message,
    "Cannot read commit result: cursor is missing",
  );
  assertEquals(
    assertThrows(() => parseNotice("closing", {})).message,
    "Cannot read closing notification: resumeAfterMs is missing",
  );
});

test("no message quotes the input, as value or as name of a field, at any depth", () => {
  const secret = "s3cr3t";
  // The keys of the table are its names: the compiler widens them to strings.
  for (const method of Object.keys(paramsOf) as MethodName[]) {
    let tried = 0;
    for (const spoiled of spoil(paramsOf[method], secret)) {
      const parsed = tryParse(method, spoiled);
      if (parsed === undefined) continue;
      assert(parsed instanceof HearthError, `${parsed}`);
      assertEquals(parsed.code, "BAD_PARAMS");
      assert(!parsed.message.includes(secret), parsed.message);
      assertEquals(parsed.cause, undefined);
      tried++;
    }
    assert(tried > 0, `nothing was refused for ${method}`);
  }
});

function tryParse(method: MethodName, params: unknown): unknown {
  try {
    parseParams(method, params);
  } catch (error) {
    return error;
  }
}

/** The value with a secret put somewhere. */
function* spoil(value: unknown, secret: string): Generator<unknown> {
  yield secret;
  yield [secret];
  yield { [secret]: secret };
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return;
  if (!Array.isArray(value)) yield { ...value, [secret]: secret };
  for (const [key, item] of Object.entries(value)) {
    for (const other of spoil(item, secret)) {
      yield Array.isArray(value)
        ? value.map((old, at) => String(at) === key ? other : old)
        : { ...value, [key]: other };
    }
  }
}
