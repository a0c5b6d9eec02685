/** Tokens of an existing deployment, and Hearth's own for the stock client: the right ones only. */

import { exportSPKI, SignJWT, UnsecuredJWT } from "jose";
import { test } from "node:test";
import { SimpleTokenStrategy } from "@fireproof/core-gateways-cloud";
import { HearthError } from "../../src/protocol/errors.ts";
import { CheckedTokens } from "../../src/sts/checked_tokens.ts";
import type { FireproofKey } from "../../src/sts/fireproof_keys.ts";
import {
  type CheckedFireproofToken,
  createFireproofVerifier,
} from "../../src/sts/fireproof_verify.ts";
import { issueFireproofToken, issueToken } from "../../src/sts/issue.ts";
import { createVerifier } from "../../src/sts/verify.ts";
import { assert, assertEquals, assertNotEquals, assertRejects } from "#assert";
import { goodClaims, makeDeployment, now, nowMs, sign, twinOf } from "./fireproof_signing.ts";
import { key as own, other as otherOwn, sign as signOwn } from "./signing.ts";

const first = await makeDeployment();
const second = await makeDeployment();
const stranger = await makeDeployment();

/** What the client makes of a token; of one that its schema refuses it makes the user "test". */
async function readAsClient(token: string) {
  const found = await new SimpleTokenStrategy(token).tryToken();
  assert(found);
  return found.claims;
}

/** A verifier in a test's hands. */
function createHand() {
  const hand = { nowMs, warnings: [] as (readonly [FireproofKey, number])[] };
  const checked = new CheckedTokens<CheckedFireproofToken>();
  const verify = createFireproofVerifier({
    keys: [first.key, second.key],
    own,
    now: () => hand.nowMs,
    checked,
    onMilliseconds: (key, lifeMs) => hand.warnings.push([key, lifeMs]),
  });
  return { hand, checked, verify };
}

const { verify } = createHand();

test("a token of any of the deployment's keys is accepted, though it names none", async () => {
  for (const { privateKey } of [first, second]) {
    const { subject, grants, selected, expiresAt } = await verify(await sign(privateKey));
    assertEquals(
      { subject, grants: [...grants], selected, expiresAt },
      {
        subject: "fireproof:alice",
        grants: [["acme/todos", "write"]],
        selected: "acme/todos",
        expiresAt: nowMs + 60_000,
      },
    );
  }
});

test("a token was issued when it says so, though it begins later", async () => {
  const token = await sign(first.privateKey, { iat: now - 60, nbf: now - 5 });
  assertEquals((await verify(token)).issuedAt, (now - 60) * 1000);
});

test("the tokens of Fireproof's dashboard are accepted", async () => {
  const token = await sign(first.privateKey, { iss: "FP_CLOUD", aud: "PUBLIC" }, { typ: "JWT" });
  assertEquals((await verify(token)).selected, "acme/todos");
});

test("Hearth's own token satisfies the stock client's schema, and this door alone", async () => {
  const token = await issueFireproofToken(own, {
    subject: "Ünal O'Neil",
    tenant: "acme",
    ledgers: ["todos", "notes"],
    right: "read",
    issuedAt: nowMs,
    expiresAt: nowMs + 60_000,
  });
  const { userId, selected: chosen } = await readAsClient(token);
  assertEquals([userId, chosen], ["Ünal O'Neil", { tenant: "acme", ledger: "todos" }]);
  const { subject, grants, selected } = await verify(token);
  assertEquals([subject, selected], ["Ünal O'Neil", "acme/todos"]);
  assertEquals([...grants], [["acme/todos", "read"], ["acme/notes", "read"]]);
  const verifyOwn = createVerifier([own], { now: () => nowMs });
  assert(await assertRejects(() => verifyOwn(token)) instanceof HearthError);
});

test("a subject of any script becomes an address that the stock client's schema accepts", async () => {
  for (const subject of ["a", "李", "-", "a@b.example", "x".repeat(256), "a".repeat(63) + "-b"]) {
    const order = { subject, tenant: "acme", ledgers: ["todos"], right: "write" } as const;
    const token = await issueFireproofToken(own, {
      ...order,
      issuedAt: nowMs,
      expiresAt: nowMs + 1,
    });
    assertEquals((await readAsClient(token)).userId, subject);
  }
});

const [, goodPayload, goodSignature] = (await sign(first.privateKey)).split(".");
const publicBytes = new TextEncoder().encode(await exportSPKI(first.publicKey));

const forgeries: Readonly<Record<string, () => string | Promise<string>>> = {
  "nothing": () => "",
  "text": () => "letmein",
  "a line break behind": async () => `${await sign(first.privateKey)}\n`,
  "padding": async () => `${await sign(first.privateKey)}==`,
  "too long": () => sign(first.privateKey, { more: "x".repeat(8192) }),
  "alg none": () => new UnsecuredJWT(goodClaims).encode(),
  "alg none, with a signature": () =>
    `${toBase64url({ alg: "none" })}.${goodPayload}.${goodSignature}`,
  "HS256 with the public key": () =>
    new SignJWT(goodClaims).setProtectedHeader({ alg: "HS256" }).sign(publicBytes),
  "a stranger's key": () => sign(stranger.privateKey),
  "a stranger's key that comes along": () =>
    sign(stranger.privateKey, {}, { jwk: stranger.jwk, kid: first.key.id }),
  "no signature at all": () => `${toBase64url({ alg: "ES256" })}.${goodPayload}.AA`,
  "the signature of zeros": () =>
    `${toBase64url({ alg: "ES256" })}.${goodPayload}.${"A".repeat(86)}`,
  "another's claims": async () => {
    const [header, , signature] = (await sign(first.privateKey)).split(".");
    const [, payload] = (await sign(first.privateKey, { userId: "mallory" })).split(".");
    return `${header}.${payload}.${signature}`;
  },
  "the type of hearth.v1": () => sign(first.privateKey, {}, { typ: "at+jwt" }),
  "Hearth's own type, by the deployment's key": () =>
    sign(first.privateKey, {}, { typ: "fireproof+jwt" }),
  "Hearth's own token for hearth.v1": () => signOwn(),
  "Hearth's own token for hearth.v1, of a subject with Fireproof's claims": () =>
    signOwn(goodClaims),
  "Hearth's issuer, by the deployment's key": () => sign(first.privateKey, { iss: "hearth" }),
  "another Hearth's key": () =>
    signOwn(
      { ...goodClaims, iss: "hearth" },
      { typ: "fireproof+jwt", kid: own.id },
      otherOwn,
    ),
  "Hearth's key without its name": () =>
    signOwn({ ...goodClaims, iss: "hearth" }, { typ: "fireproof+jwt", kid: undefined }),
  "a critical header nobody knows": () =>
    sign(first.privateKey, {}, { crit: ["x"], x: 1 }).catch(() => "refused.by.jose"),
  "no issuer": () => sign(first.privateKey, { iss: undefined }),
  "another issuer": () => sign(first.privateKey, { iss: "elsewhere" }),
  "no audience": () => sign(first.privateKey, { aud: undefined }),
  "another audience": () => sign(first.privateKey, { aud: "elsewhere" }),
  "no expiry": () => sign(first.privateKey, { exp: undefined }),
  "an expiry that is text": () => sign(first.privateKey, { exp: "tomorrow" }),
  "an expiry beyond all numbers": () => sign(first.privateKey, { exp: 1e300 }),
  "expired": () => sign(first.privateKey, { iat: now - 120, exp: now - 60 }),
  "expired, in milliseconds": () => sign(first.privateKey, { iat: now - 120, exp: nowMs - 60_000 }),
  "issued in the future": () => sign(first.privateKey, { iat: now + 60 }),
  "issued in the future, in milliseconds": () => sign(first.privateKey, { iat: nowMs + 60_000 }),
  "not valid yet": () => sign(first.privateKey, { nbf: now + 60 }),
  "no user": () => sign(first.privateKey, { userId: undefined }),
  "an empty user": () => sign(first.privateKey, { userId: "" }),
  "no tenants": () => sign(first.privateKey, { tenants: undefined }),
  "tenants that are names": () => sign(first.privateKey, { tenants: ["acme"] }),
  "no ledgers": () => sign(first.privateKey, { ledgers: undefined }),
  "a right nobody knows": () =>
    sign(first.privateKey, { ledgers: [{ id: "todos", role: "member", right: "admin" }] }),
  "a selection that is half": () => sign(first.privateKey, { selected: { tenant: "acme" } }),
};

function toBase64url(header: object): string {
  return btoa(JSON.stringify(header)).replace(/=+$/, "");
}

const messages = new Set<string>();

for (const [what, forge] of Object.entries(forgeries)) {
  test(`a token with ${what} is refused`, async () => {
    const error = await assertRejects(async () => verify(await forge()));
    assert(error instanceof HearthError);
    assertEquals(error.code, "UNAUTHENTICATED");
    messages.add(error.message);
    assertEquals(messages.size, 1, "all forgeries get the same answer");
  });
}

test("both good signatures of one token name the same token", async () => {
  const token = await sign(first.privateKey);
  const twin = twinOf(token);
  assertNotEquals(twin, token);
  assertEquals((await verify(twin)).tokenId, (await verify(token)).tokenId);
  const other = await sign(first.privateKey, { userId: "bob" });
  assertNotEquals((await verify(other)).tokenId, (await verify(token)).tokenId);
});

test("times in milliseconds are read as such, and told once for each key", async () => {
  const { hand, verify } = createHand();
  for (const { privateKey } of [first, first, second]) {
    const { expiresAt } = await verify(await sign(privateKey, { exp: nowMs + 60_000 }));
    assertEquals(expiresAt, nowMs + 60_000);
  }
  assertEquals(hand.warnings, [[first.key, 60_000], [second.key, 60_000]]);
  const token = await sign(first.privateKey, { iat: nowMs, nbf: nowMs, exp: nowMs + 60_000 });
  await verify(token);
  hand.nowMs += 65_000;
  assert(await assertRejects(() => verify(token)) instanceof HearthError);
});

test("the hour that Fireproof's issuer writes as 3600 milliseconds is an hour", async () => {
  for (const afterMs of [0, 999]) {
    const { expiresAt } = await verify(
      await sign(first.privateKey, { exp: nowMs + afterMs + 3_600 }),
    );
    assertEquals(expiresAt, nowMs + 3_600_000);
  }
  for (const lifeMs of [2_000, 3_599, 4_700, 10_000]) {
    const { expiresAt } = await verify(await sign(first.privateKey, { exp: nowMs + lifeMs }));
    assertEquals(expiresAt, nowMs + lifeMs);
  }
});

test("a token that is remembered ends at its time, and lets in nobody whom it did not before", async () => {
  const { hand, checked, verify } = createHand();
  const token = await sign(first.privateKey);
  const found = await verify(token);
  assertEquals(await verify(token), found);
  assertEquals(checked.size, 1);
  hand.nowMs = nowMs + 64_999;
  await verify(token);
  hand.nowMs = nowMs + 65_000;
  await assertRejects(() => verify(token));
  hand.nowMs = nowMs - 5_001;
  await assertRejects(() => verify(token));
  await assertRejects(() => verify(`${token}A`));
  assertEquals(checked.size, 1, "what is refused is not remembered");
});

test("a token for hearth.v1 is none for the stock client", async () => {
  const token = await issueToken(own, {
    subject: "alice",
    ledgers: [{ id: "acme/todos", right: "write" }],
    issuedAt: nowMs,
    expiresAt: nowMs + 60_000,
  });
  assert(await assertRejects(() => verify(token)) instanceof HearthError);
});
