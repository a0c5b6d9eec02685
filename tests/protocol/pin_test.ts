/** The wire does not change without notice: fingerprints of the vocabulary beside its version. */

import { test } from "node:test";
import { assertEquals } from "#assert";
import { codes } from "../../src/protocol/errors.ts";
import { type MethodName, methods, notifications } from "../../src/protocol/methods.ts";
import { contentType, paths, protocolVersion, subprotocol } from "../../src/protocol/version.ts";
import { toHex } from "../hex.ts";
import { define, named, notate } from "./notation.ts";

/**
 * What each released version looks like. When the test below fails, the wire has changed, and
 * clients in the field would not understand: take the change back, or change PROTOCOL.md, the
 * golden vectors, `protocolVersion` and this pin together.
 */
const pins: Readonly<Record<number, Readonly<Record<string, string>>>> = {
  1: {
    ledger: "1d75f9f0",
    cid: "3786dafe",
    cursor: "3e7b3f06",
    token: "dd0978f8",
    key: "0408d81d",
    store: "66ddb23b",
    digest: "d85fc7cb",
    BlobRef: "71c3c83b",
    BlobUpload: "cefeb376",
    DirectRequest: "4de3c936",
    BlobAnswer: "7f36e553",
    BlobListing: "c037a54a",
    Meta: "aa8508ca",
    Changes: "ad6bef56",
    Limits: "cb7903c6",
    hello: "d100aadf",
    auth: "e356f216",
    commit: "62764caf",
    missing: "582cc55d",
    getBlobs: "b62a2a2a",
    listBlobs: "82eaa2e3",
    signUrl: "88f83948",
    watch: "56dd3647",
    unwatch: "6de7ef3d",
    poll: "047f23a7",
    delMeta: "173f1bda",
    getWal: "5005a0ef",
    putWal: "f6e0ddeb",
    delWal: "418f94e4",
    tell: "a672da02",
    "notice closing": "b93bc0b1",
    "notice error": "fe6930a3",
    "notice metas": "f476768c",
    "notice ping": "44136fa3",
    "notice pong": "44136fa3",
    "notice told": "091f63be",
    codes: "6a4b886a",
    door: "1ec75d6c",
  },
};

test("the vocabulary is that of its version", async () => {
  const found = await Promise.all(
    vocabulary().map(async ([name, text]) => [name, await hash(text)]),
  );
  assertEquals(Object.fromEntries(found), { ...pins[protocolVersion] });
});

function vocabulary(): [name: string, text: string][] {
  return [
    ...Object.entries(named).map(pair((schema) => define(schema))),
    // The keys of the table are its names: the compiler widens them to strings.
    ...(Object.keys(methods) as MethodName[]).map((name): [string, string] => [name, row(name)]),
    ...Object.entries(notifications).map(pair((schema) => notate(schema), "notice ")),
    [
      "codes",
      JSON.stringify(
        Object.entries(codes).map(([code, { status, retry, ...more }]) => [
          code,
          status,
          retry,
          "close" in more ? more.close : null,
        ]),
      ),
    ],
    ["door", JSON.stringify([subprotocol, contentType, paths])],
  ];
}

function row(name: MethodName): string {
  const { access, over, params, result } = methods[name];
  const right = typeof access === "string" ? access : "by parameters";
  return `${right} over ${over}: ${notate(params)} -> ${notate(result)}`;
}

function pair<T>(write: (item: T) => string, prefix = "") {
  return ([name, item]: [string, T]): [string, string] => [prefix + name, write(item)];
}

async function hash(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return toHex(new Uint8Array(digest)).slice(0, 8);
}
