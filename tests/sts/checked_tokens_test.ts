/** That a token was good a moment ago lets nobody in who would not be let in without that. */

import { test } from "node:test";
import { HearthError } from "../../src/protocol/errors.ts";
import { CheckedTokens } from "../../src/sts/checked_tokens.ts";
import { type CheckedToken, createVerifier, type VerifyingKey } from "../../src/sts/verify.ts";
import { assert, assertEquals, assertRejects } from "#assert";
import { key, now, nowMs, other, sign } from "./signing.ts";

/** A verifier in a test's hands. */
function createHand(keys: readonly VerifyingKey[] = [key]) {
  const checked = new CheckedTokens<CheckedToken>();
  const hand = { nowMs, checked };
  return { ...hand, hand, verify: createVerifier(keys, { now: () => hand.nowMs, checked }) };
}

async function assertRefused(call: Promise<unknown>, what?: string): Promise<void> {
  const error = await assertRejects(() => call, what);
  assert(error instanceof HearthError && error.code === "UNAUTHENTICATED", what);
}

test("a good token is remembered once, and is the same at every call", async () => {
  const { verify, checked } = createHand();
  const token = await sign();
  const first = await verify(token);
  assertEquals(checked.size, 1);
  assertEquals(await verify(token), first);
  assertEquals(checked.size, 1);
});

test("a remembered token ends at its time", async () => {
  const { verify, hand } = createHand();
  const token = await sign({ exp: now + 60 });
  await verify(token);
  hand.nowMs = nowMs + 64_999;
  await verify(token);
  hand.nowMs = nowMs + 65_000;
  await assertRefused(verify(token));
});

test("a remembered token is refused when the clock is set back to before its time", async () => {
  const { verify, hand } = createHand();
  const [issued, begun] = [await sign({ iat: now }), await sign({ iat: now - 60, nbf: now })];
  for (const token of [issued, begun]) await verify(token);
  hand.nowMs = nowMs - 5_000;
  for (const token of [issued, begun]) await verify(token);
  hand.nowMs = nowMs - 5_001;
  for (const token of [issued, begun]) await assertRefused(verify(token));
});

test("a remembered token is refused as soon as its key is taken out, and when another has its name", async () => {
  const keys: VerifyingKey[] = [key, other];
  const { verify } = createHand(keys);
  const [token, others] = [await sign(), await sign({}, { kid: other.id }, other)];
  await verify(token);
  await verify(others);
  keys.splice(0, 1);
  await assertRefused(verify(token));
  await verify(others);
  keys.push({ id: key.id, publicKey: other.publicKey });
  await assertRefused(verify(token));
  keys.splice(1, 1, key);
  await verify(token);
});

test("a refused token is not remembered: neither as refused nor as good", async () => {
  const { verify, hand, checked } = createHand();
  const later = await sign({ iat: now + 60, exp: now + 120 });
  const expired = await sign({ iat: now - 120, exp: now - 60 });
  const refused = [later, expired, await sign({}, {}, other), await sign({ aud: "fireproof" }), ""];
  for (const token of refused) {
    await assertRefused(verify(token));
    await assertRefused(verify(token));
  }
  assertEquals(checked.size, 0);
  hand.nowMs += 60_000;
  await verify(later);
  hand.nowMs -= 150_000;
  await verify(expired);
});

test("nothing but the whole text finds a remembered token", async () => {
  const { verify, checked } = createHand();
  const token = await sign();
  const mallory = await sign({ sub: "mallory" });
  await verify(token);
  await verify(mallory);
  const [header = "", claims = "", signature = ""] = token.split(".");
  const [, theirClaims = "", theirSignature = ""] = mallory.split(".");
  const mixed = [
    [header, theirClaims, signature].join("."),
    [header, claims, theirSignature].join("."),
    `${header}.${claims}.`,
    `${header}.${claims}`,
    `${token}.`,
    `${token}A`,
    ` ${token}`,
    `${token}\n`,
    `${token}=`,
    token.toLowerCase(),
  ];
  // The last character of a signature has bits that say nothing: each other one counts.
  for (let at = 0; at < token.length - 1; at++) {
    mixed.push(token.slice(0, at) + (token[at] === "A" ? "B" : "A") + token.slice(at + 1));
  }
  for (const forged of mixed) await assertRefused(verify(forged), forged);
  assertEquals(checked.size, 2);
});

test("each remembered token gives its own subject and rights", async () => {
  const { verify } = createHand();
  const people = ["alice", "bob", "carol"];
  const tokens = await Promise.all(
    people.map((sub) => sign({ sub, ledgers: [{ id: `acme/${sub}`, right: "read" }] })),
  );
  for (let round = 0; round < 3; round++) {
    const found = await Promise.all(tokens.map((token) => verify(token)));
    assertEquals(found.map((it) => it.subject), people);
    assertEquals(found.map((it) => [...it.grants]), people.map((it) => [[`acme/${it}`, "read"]]));
  }
});

test("what one verifier remembers is nothing to another", async () => {
  const token = await sign();
  await createHand().verify(token);
  await assertRefused(createHand([other]).verify(token));
});

test("of too many those are forgotten that were not used for the longest time", () => {
  const tokens = new CheckedTokens<number>(100);
  for (let at = 0; at < 10; at++) tokens.add(`token-${at}...`, at);
  assertEquals(tokens.find("token-0..."), 0);
  tokens.add("another---", 10);
  assertEquals(tokens.size, 10);
  assertEquals([tokens.find("token-0..."), tokens.find("token-1...")], [0, undefined]);
  tokens.add("x".repeat(60), 11);
  assertEquals([tokens.size, tokens.find("another---")], [5, 10]);
  tokens.add("x".repeat(101), 12);
  assertEquals(tokens.size, 0);
});

test("one that is added again counts once", () => {
  const tokens = new CheckedTokens<number>(100);
  for (let at = 0; at < 50; at++) tokens.add("token", at);
  tokens.add("y".repeat(95), 1);
  assertEquals([tokens.size, tokens.find("token")], [2, 49]);
});
