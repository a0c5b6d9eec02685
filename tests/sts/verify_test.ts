/** Only tokens that are right in every respect are accepted; all others get the same answer. */

import { base64url, exportJWK, exportSPKI, generateKeyPair, SignJWT, UnsecuredJWT } from "jose";
import { test } from "node:test";
import { HearthError } from "../../src/protocol/errors.ts";
import { issueToken } from "../../src/sts/issue.ts";
import { generateJwk, importKey } from "../../src/sts/keys.ts";
import { createVerifier } from "../../src/sts/verify.ts";
import { assert, assertEquals, assertNotEquals, assertRejects } from "#assert";
import { goodClaims, goodHeader, key, now, nowMs, other, sign } from "./signing.ts";

const verify = createVerifier([key], { now: () => nowMs });

function flip(token: string, part: number): string {
  return token.split(".").map((text, at) => {
    if (at !== part) return text;
    const bytes = base64url.decode(text);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    return base64url.encode(bytes);
  }).join(".");
}

test("verify() accepts what issueToken() makes", async () => {
  const token = await issueToken(key, {
    subject: "alice",
    ledgers: [{ id: "acme/todos", right: "write" }, { id: "umbrella/x", right: "read" }],
    issuedAt: nowMs,
    expiresAt: nowMs + 60_000,
  });
  const { subject, expiresAt, grants, tokenId } = await verify(token);
  assertEquals({ subject, expiresAt }, { subject: "alice", expiresAt: nowMs + 60_000 });
  assertEquals([...grants], [["acme/todos", "write"], ["umbrella/x", "read"]]);
  assertNotEquals(tokenId, "");
});

test("the forgeries below fail for what they are, since their pattern is accepted", async () => {
  assertEquals((await verify(await sign())).subject, "alice");
  assertEquals((await verify(await sign({ aud: ["elsewhere", "hearth"] }))).subject, "alice");
});

const rsa = await generateKeyPair("RS256");
const ec = await generateKeyPair("ES256");
const publicBytes = new TextEncoder().encode(await exportSPKI(key.publicKey));
const publicJwk = await exportJWK(other.publicKey);

const forgeries: Readonly<Record<string, () => string | Promise<string>>> = {
  "nothing": () => "",
  "text": () => "letmein",
  "two parts": async () => (await sign()).split(".").slice(0, 2).join("."),
  "four parts": async () => `${await sign()}.x`,
  "five parts": () => "a.b.c.d.e",
  "a line break behind": async () => `${await sign()}\n`,
  "a space before": async () => ` ${await sign()}`,
  "padding": async () => `${await sign()}==`,
  "too long": async () => await sign({ more: "x".repeat(8192) }),
  "alg none": () => new UnsecuredJWT(goodClaims).encode(),
  "alg none, with a signature": async () => {
    const [, payload, signature] = (await sign()).split(".");
    const header = base64url.encode(JSON.stringify({ ...goodHeader, alg: "none" }));
    return `${header}.${payload}.${signature}`;
  },
  "HS256 with the public key": () =>
    new SignJWT(goodClaims).setProtectedHeader({ ...goodHeader, alg: "HS256" }).sign(publicBytes),
  "RS256": () =>
    new SignJWT(goodClaims).setProtectedHeader({ ...goodHeader, alg: "RS256" }).sign(
      rsa.privateKey,
    ),
  "ES256": () =>
    new SignJWT(goodClaims).setProtectedHeader({ ...goodHeader, alg: "ES256" }).sign(ec.privateKey),
  "another key under the same name": () => sign({}, {}, other),
  "another key under its own name": () => sign({}, { kid: other.id }, other),
  "another key that comes along": () => sign({}, { jwk: publicJwk }, other),
  "another key at an address": () =>
    sign({}, { jku: "https://evil.example/jwks.json", kid: other.id }, other),
  "no key name": () => sign({}, { kid: undefined }),
  "a key name like a path": () => sign({}, { kid: "../../etc/passwd" }),
  "a critical header nobody knows": () =>
    sign({}, { crit: ["x"], x: 1 }).catch(() => "refused.by.jose"),
  "no type": () => sign({}, { typ: undefined }),
  "another type": () => sign({}, { typ: "JWT" }),
  "a changed header": async () => flip(await sign(), 0),
  "changed claims": async () => flip(await sign(), 1),
  "a changed signature": async () => flip(await sign(), 2),
  "another's claims": async () => {
    const [header, , signature] = (await sign()).split(".");
    const [, payload] = (await sign({ sub: "mallory" })).split(".");
    return `${header}.${payload}.${signature}`;
  },
  "no issuer": () => sign({ iss: undefined }),
  "another issuer": () => sign({ iss: "fireproof" }),
  "no audience": () => sign({ aud: undefined }),
  "another audience": () => sign({ aud: "fireproof" }),
  "no expiry": () => sign({ exp: undefined }),
  "expired": () => sign({ iat: now - 120, exp: now - 60 }),
  "an expiry that is text": () => sign({ exp: "tomorrow" as unknown as number }),
  "an expiry beyond all numbers": () => sign({ exp: 1e300 }),
  "no time of issue": () => sign({ iat: undefined }),
  "issued in the future": () => sign({ iat: now + 60 }),
  "not valid yet": () => sign({ nbf: now + 60 }),
  "no subject": () => sign({ sub: undefined }),
  "an empty subject": () => sign({ sub: "" }),
  "a subject that is a number": () => sign({ sub: 7 }),
  "no name": () => sign({ jti: undefined }),
  "ledgers that are no list": () => sign({ ledgers: "acme/todos" }),
  "a right nobody knows": () => sign({ ledgers: [{ id: "acme/todos", right: "root" }] }),
};

const messages = new Set<string>();

for (const [what, forge] of Object.entries(forgeries)) {
  test(`verify() refuses a token with ${what}`, async () => {
    const error = await assertRejects(async () => verify(await forge()));
    assert(error instanceof HearthError);
    assertEquals(error.code, "UNAUTHENTICATED");
    messages.add(error.message);
    assertEquals(messages.size, 1, "all forgeries get the same answer");
  });
}

test("verify() allows for clocks that differ a little", async () => {
  assertEquals((await verify(await sign({ exp: now - 3 }))).subject, "alice");
  assertEquals((await verify(await sign({ iat: now + 3 }))).subject, "alice");
});

test("importKey() refuses what is no Ed25519 private key", async () => {
  const { d: _, ...withoutSecret } = await generateJwk();
  for (const jwk of [null, {}, withoutSecret, await exportJWK(ec.publicKey)]) {
    assert(await assertRejects(() => importKey(jwk)) instanceof TypeError);
  }
});
