/** A signed URL stands for exactly one operation: nothing in it can be changed, added or repeated. */

import { connect } from "node:net";
import { after, test } from "node:test";
import { assert, assertEquals, assertRejects, assertThrows } from "#assert";
import { UrlSigner } from "../../src/backend/signed_url.ts";
import { HearthError } from "../../src/protocol/errors.ts";
import { createFakeClock } from "../harness/fake_clock.ts";
import { makeBlob, makeMeta } from "./support/made.ts";
import { rpc } from "./support/raw_client.ts";
import { startTestBackend } from "./support/test_backend.ts";

const ledger = "acme/todos";
const clock = createFakeClock();
const server = await startTestBackend({ clock });
after(() => server.stop());
const token = await server.token("write", [ledger], { lifeMs: 24 * 3_600_000 });
const blob = makeBlob(1, 1000);
const other = makeBlob(2, 1000);
await rpc(server.url, token, "commit", {
  ledger,
  metas: [makeMeta("a", [blob.ref])],
  blobs: [blob.upload],
});

async function sign(method: "GET" | "PUT", made = blob): Promise<URL> {
  const { ref, digest, bytes } = made;
  const params = { ledger, method, ...ref, digest, size: bytes.length };
  return new URL((await rpc(server.url, token, "signUrl", params)).url);
}

async function statusOf(url: URL | string, init: RequestInit = {}): Promise<number> {
  const response = await fetch(url, init);
  await response.arrayBuffer();
  return response.status;
}

/** Sends bytes as they are, and gives the status of the answer. */
async function raw(lines: readonly string[], body: Uint8Array = new Uint8Array()): Promise<number> {
  const { hostname, port } = new URL(server.url);
  const tcp = connect(Number(port), hostname);
  let answer = "";
  tcp.on("data", (piece: Uint8Array) => (answer += new TextDecoder().decode(piece)));
  const ended = new Promise((resolve) => tcp.on("close", resolve).on("error", resolve));
  tcp.write([...lines, `Host: ${hostname}:${port}`, "Connection: close", "", ""].join("\r\n"));
  tcp.end(body);
  await ended;
  return Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);
}

test("a URL serves its blob, with headers that keep it from being a page", async () => {
  const response = await fetch(await sign("GET"));
  assertEquals(new Uint8Array(await response.arrayBuffer()), blob.bytes);
  const { headers } = response;
  assertEquals(headers.get("content-type"), "application/octet-stream");
  assertEquals(headers.get("x-content-type-options"), "nosniff");
  assertEquals(headers.get("content-disposition"), "attachment");
  assertEquals(headers.get("content-security-policy"), "default-src 'none'; sandbox");
  assertEquals(headers.get("cache-control")?.includes("immutable"), true);
  assertEquals(headers.get("content-length"), "1000");
});

test("a URL of one method is none of another", async () => {
  const [get, put] = [await sign("GET"), await sign("PUT", other)];
  assertEquals(await statusOf(get, { method: "HEAD" }), 403);
  assertEquals(await statusOf(get, { method: "PUT", body: blob.bytes }), 403);
  assertEquals(await statusOf(put), 403);
  assertEquals(await statusOf(put, { headers: { "x-http-method-override": "PUT" } }), 403);
  assertEquals(await statusOf(get, { method: "DELETE" }), 404);
  assertEquals(await statusOf(get, { method: "POST", body: "x" }), 404);
});

test("no field of a URL can be changed", async () => {
  const url = await sign("GET");
  const changed: [string, (url: URL) => void][] = [...url.searchParams].flatMap(([name, value]) => {
    const swap = value.startsWith("1") ? "2" : "1";
    return [
      [`${name} changed`, (it: URL) => it.searchParams.set(name, swap + value.slice(1))],
      [`${name} longer`, (it: URL) => it.searchParams.set(name, `${value}0`)],
      [`${name} empty`, (it: URL) => it.searchParams.set(name, "")],
      [`${name} missing`, (it: URL) => it.searchParams.delete(name)],
      [`${name} twice`, (it: URL) => it.searchParams.append(name, value)],
      [`${name} named otherwise`, (it: URL) => {
        it.searchParams.delete(name);
        it.searchParams.set(name.toUpperCase(), value);
      }],
    ] as [string, (url: URL) => void][];
  });
  const paths: readonly (readonly [string, string])[] = [
    ["acme/todos", "acme/other"],
    ["acme/todos", "umbrella/todos"],
    ["acme/todos", "acme%2Ftodos"],
    ["acme/todos", "acme/x/../todos"],
    ["acme/todos", "acme/%2e%2e/acme/todos"],
    ["acme/todos", "acme/todo%73"],
    ["acme/todos", "acme//todos"],
    ["/car/", "/file/"],
    ["/car/", "/car/car/"],
    ["/car/", "/%63ar/"],
    [blob.ref.cid, other.ref.cid],
    [blob.ref.cid, blob.ref.cid.toUpperCase()],
    [blob.ref.cid, `${blob.ref.cid}/`],
    [blob.ref.cid, `${blob.ref.cid}%00`],
    [blob.ref.cid, `${blob.ref.cid};x`],
  ];
  changed.push(["one parameter more", (it) => it.searchParams.set("x", "1")]);
  changed.push(["parameters in another order", (it) => {
    const [first, ...rest] = [...it.searchParams];
    it.search = new URLSearchParams([...rest, first ?? []] as string[][]).toString();
  }]);
  for (const [what, change] of changed) {
    const forged = new URL(url);
    change(forged);
    assertEquals([what, await statusOf(forged)], [what, 403]);
  }
  for (const [from, to] of paths) {
    const target = (url.pathname + url.search).replace(from, to);
    const status = await raw([`GET ${target} HTTP/1.1`]);
    // What the parser of URLs makes equal before anybody sees it is equal.
    const isSame = new URL(target, url).href === url.href;
    assert(isSame ? status === 200 : status === 403, `${to}: ${status}`);
  }
  assertEquals(await statusOf(url), 200, "unchanged it is good");
});

test("a URL lives 15 minutes", async () => {
  const url = await sign("GET");
  clock.advance(14 * 60_000);
  assertEquals(await statusOf(url), 200);
  clock.advance(61_000);
  assertEquals(await statusOf(url), 403);
});

test("a PUT takes the bytes of its digest and size alone, and keeps nothing else", async () => {
  const made = makeBlob(9, 100_000);
  const url = await sign("PUT", made);
  const wrong = makeBlob(10, 100_000).bytes;
  const target = url.pathname + url.search;
  const length = (it: number) => [`PUT ${target} HTTP/1.1`, `Content-Length: ${it}`];
  assertEquals(await statusOf(url, { method: "PUT", body: wrong }), 422);
  assertEquals(await statusOf(url, { method: "PUT", body: made.bytes.slice(1) }), 422);
  assertEquals(await statusOf(url, { method: "PUT", body: new Uint8Array(100_001) }), 422);
  assertEquals(await statusOf(url, { method: "PUT" }), 422);
  assertEquals(await statusOf(url, chunked(made.bytes.slice(0, 50_000))), 422);
  assertEquals(await statusOf(url, chunked(new Uint8Array(500_000))), 422);
  // The sender is gone in the middle: whether it still hears an answer differs.
  await raw(length(100_000), made.bytes.slice(0, 10));
  const { ref, digest } = made;
  assertEquals(await server.deps.blobStore.has({ ledger, ...ref, digest, size: 100_000 }), false);
  assertEquals(await statusOf(url, chunked(made.bytes)), 201);
  assertEquals(await statusOf(url, { method: "PUT", body: made.bytes }), 200);
  // Whatever is sent now: nothing is read, and nothing changes.
  assertEquals(await statusOf(url, { method: "PUT", body: wrong }), 200);
});

test("a PUT of more than the server takes is not signed", async () => {
  const { ref, digest } = other;
  const params = { ledger, method: "PUT" as const, ...ref, digest, size: 1 << 30 };
  const error = await assertRejects(() => rpc(server.url, token, "signUrl", params));
  assert(error instanceof HearthError);
  assertEquals(error.code, "BAD_PARAMS");
});

test("a blob that was uploaded but not committed cannot be got", async () => {
  const made = makeBlob(11, 1000);
  assertEquals(await statusOf(await sign("PUT", made), { method: "PUT", body: made.bytes }), 201);
  const error = await assertRejects(() => sign("GET", made));
  assert(error instanceof HearthError);
  assertEquals(error.code, "NOT_FOUND");
});

test("signers with different secrets do not take each other's URLs", () => {
  const [one, two] = [new UrlSigner(new Uint8Array(32)), new UrlSigner(new Uint8Array(32).fill(1))];
  const { ref, digest } = blob;
  const key = { ledger, ...ref, digest, size: 1000 };
  const url = new URL(one.sign("http://x", { method: "GET", key, expiresAt: 2000 }));
  assertEquals(one.check("GET", url, 1000).key, key);
  assertThrows(() => two.check("GET", url, 1000));
});

function chunked(bytes: Uint8Array<ArrayBuffer>): RequestInit & { readonly duplex: "half" } {
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(bytes);
      controller.close();
    },
  });
  return { method: "PUT", body, duplex: "half" };
}
