/** Public keys of a deployment are read in the forms in which their environment holds them. */

import { test } from "node:test";
import { exportJWK, generateKeyPair } from "jose";
import { importFireproofKeys, parseFireproofKeys } from "../../src/sts/fireproof_keys.ts";
import { base58btc } from "multiformats/bases/base58";
import { assert, assertEquals } from "#assert";
import { makeDeployment } from "./fireproof_signing.ts";

const first = await makeDeployment();
const second = await makeDeployment();

async function idsOf(text: string): Promise<readonly string[]> {
  const keys = parseFireproofKeys(text);
  assert(keys, "the keys are of no form that is read");
  return (await importFireproofKeys(keys)).map(({ id }) => id);
}

function toBase58(value: unknown): string {
  return base58btc.encode(new TextEncoder().encode(JSON.stringify(value)));
}

test("one key or several, in base58, base64 or JSON, and sets of keys", async () => {
  const [a, b] = [first.key.id, second.key.id];
  const json = JSON.stringify(first.jwk);
  assertEquals(await idsOf(""), []);
  assertEquals(await idsOf(first.env), [a]);
  assertEquals(await idsOf(` ${first.env} , ${second.env} `), [a, b]);
  assertEquals(await idsOf(`${second.env},${btoa(json)}`), [b, a]);
  assertEquals(await idsOf(json), [a]);
  assertEquals(await idsOf(JSON.stringify({ keys: [first.jwk, second.jwk] })), [a, b]);
  assertEquals(await idsOf(toBase58({ keys: [second.jwk] })), [b]);
});

test("what is no public P-256 key is refused", async () => {
  const secret = await exportJWK(first.privateKey);
  const { publicKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
  const wrong: Readonly<Record<string, string>> = {
    "text": "something",
    "base58 without its mark": first.env.slice(1),
    "base58 cut short": first.env.slice(0, -9),
    "a digit that base58 lacks": `${first.env.slice(0, -1)}0`,
    "a private key": toBase58(secret),
    "a key of another curve": toBase58(await exportJWK(publicKey)),
    "a key for another algorithm": toBase58({ ...first.jwk, alg: "ES384" }),
    "a key without y": toBase58({ ...first.jwk, y: undefined }),
    "no point of the curve": toBase58({ ...first.jwk, y: first.jwk.x }),
    "an empty set": toBase58({ keys: [] }),
    "null": toBase58(null),
    "an empty part": `${first.env},`,
    "too many": Array.from({ length: 17 }, () => first.env).join(),
    "a very long one": `z${"2".repeat(100_000)}`,
  };
  for (const [what, text] of Object.entries(wrong)) {
    assertEquals(parseFireproofKeys(text), undefined, what);
  }
});
