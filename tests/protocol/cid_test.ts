/** One CID, one spelling. */

import { test } from "node:test";
import { assert, assertEquals } from "#assert";
import { formatCid, isCid, parseCid } from "../../src/protocol/cid.ts";
import { seededRandom, testSeed } from "../random.ts";

/** The CID of "hello world" as raw bytes, as every IPFS tool writes it. */
const known = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";
const alphabet = "abcdefghijklmnopqrstuvwxyz234567";

test("formatCid() writes what other tools write", async () => {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode("hello world"));
  assertEquals(formatCid(0x55, new Uint8Array(digest)), known);
});

test("parseCid() takes apart what formatCid() wrote, for every length of codec", () => {
  const random = seededRandom(testSeed());
  const edges = [0, 1, 0x18, 0x55, 0x71, 0x7f, 0x80, 0x3fff, 0x4000, 0x1fffff];
  for (const codec of [...edges, ...Array.from({ length: 200 }, () => random.below(1 << 21))]) {
    const digest = random.bytes(32);
    assertEquals(parseCid(formatCid(codec, digest)), { codec, digest });
  }
});

test("parseCid() refuses a codec of more than three bytes", () => {
  assert(!isCid(formatCid(0x200000, new Uint8Array(32))));
});

const refused: Record<string, string> = {
  "nothing": "",
  "a word": "hello",
  "CIDv0": "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKsvTz",
  "base58btc": "zb2rhe5P4gXftAwvA4eXQ5HJwsER2owDyS9sKaQRRVQPn93bA",
  "base16": `f01551220${"00".repeat(32)}`,
  "base32 in upper case": known.toUpperCase(),
  "one letter in upper case": known.replace("k", "K"),
  "padding": `${known}=`,
  "a space before": ` ${known}`,
  "a line end behind": `${known}\n`,
  "a letter outside of the alphabet": known.replace("z", "1"),
  "a letter that only looks like ASCII": known.replace("k", "\u212a"),
  "one letter more": `${known}a`,
  "one letter less": known.slice(0, -1),
  "a truncated digest": encode([1, 0x55, 0x12, 31, ...Array(31).fill(7)]),
  "a length that lies": encode([1, 0x55, 0x12, 20, ...Array(32).fill(7)]),
  "bytes behind the digest": encode([1, 0x55, 0x12, 32, ...Array(33).fill(7)]),
  "identity hash": encode([1, 0x55, 0x00, 32, ...Array(32).fill(7)]),
  "identity hash of nothing": encode([1, 0x55, 0x00, 0]),
  "sha2-512": encode([1, 0x55, 0x13, 64, ...Array(64).fill(7)]),
  "blake3": encode([1, 0x55, 0x1e, 32, ...Array(32).fill(7)]),
  "version 0": encode([0, 0x55, 0x12, 32, ...Array(32).fill(7)]),
  "version 2": encode([2, 0x55, 0x12, 32, ...Array(32).fill(7)]),
  "a codec in a longer spelling": encode([1, 0xd5, 0x00, 0x12, 32, ...Array(32).fill(7)]),
  "a hash code in a longer spelling": encode([1, 0x55, 0x92, 0x00, 32, ...Array(32).fill(7)]),
  "a million letters": `b${"a".repeat(1_000_000)}`,
};

test("isCid() refuses everything that is not a CID in the one spelling", () => {
  for (const [what, text] of Object.entries(refused)) assert(!isCid(text), `accepted ${what}`);
});

test("isCid() refuses a last letter that carries bits beyond the digest", () => {
  const last = alphabet.indexOf(known.at(-1) ?? "");
  // 36 bytes are 57 letters and 3 bits: the two lowest bits of the last letter are spare.
  const spare = [1, 2, 3].map((bits) => known.slice(0, -1) + alphabet[(last & ~3) | bits]);
  for (const text of spare) assert(!isCid(text), `accepted ${text}`);
});

test("no two texts name one CID: a change of any letter names another, or none", () => {
  const seen = new Set([JSON.stringify(parseCid(known))]);
  for (let at = 0; at < known.length; at++) {
    for (const letter of alphabet) {
      const text = known.slice(0, at) + letter + known.slice(at + 1);
      const parsed = parseCid(text);
      if (text === known || !parsed) continue;
      const name = JSON.stringify([parsed.codec, ...parsed.digest]);
      assert(!seen.has(name), `${text} is a second spelling`);
      seen.add(name);
      assertEquals(formatCid(parsed.codec, parsed.digest), text);
    }
  }
});

/** Base32 as bit strings: slow and obvious, to be checked against. */
function encode(bytes: readonly number[]): string {
  const bits = bytes.map((byte) => byte.toString(2).padStart(8, "0")).join("");
  const letters = bits.match(/.{1,5}/g) ?? [];
  return "b" + letters.map((five) => alphabet[Number.parseInt(five.padEnd(5, "0"), 2)]).join("");
}
