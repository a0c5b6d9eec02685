/** Bodies over HTTP, however they come: in pieces, slowly, too long, or not to their end. */

import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { assert, assertEquals } from "#assert";
import type { Clock } from "../../src/base/clock.ts";
import { decodeFrames, encodeRequest, type Frame } from "../../src/protocol/frames.ts";
import { paths } from "../../src/protocol/version.ts";
import { eventually } from "../harness/eventually.ts";
import { createFakeClock } from "../harness/fake_clock.ts";
import { makeBlob } from "./support/made.ts";
import { rpc } from "./support/raw_client.ts";
import { startTestBackend, type TestBackend } from "./support/test_backend.ts";

const stallMs = 30_000;

/** A clock that counts how often the server begins to wait for more of a body. */
function createBodyClock() {
  const fake = createFakeClock();
  let waits = 0;
  const clock: Clock = {
    now: fake.now,
    after: (ms, callback) => {
      if (ms === stallMs) waits++;
      return fake.after(ms, callback);
    },
  };
  const waitsBeyond = (count: number) =>
    eventually(() => assert(waits > count, `${waits} waits`), { everyMs: 5 });
  return { clock, advance: fake.advance, waits: () => waits, waitsBeyond };
}

/** One connection on which requests are written by hand. */
class Post {
  readonly #tcp: Socket;
  readonly #token: string;
  #text = "";
  #ended = false;

  constructor(url: string, token: string) {
    const { port, hostname } = new URL(url);
    this.#token = token;
    this.#tcp = connect(Number(port), hostname);
    this.#tcp.on("data", (piece: Uint8Array) => (this.#text += latin1(piece)));
    // A link that is cut is what some tests are about.
    this.#tcp.on("error", () => {}).on("close", () => (this.#ended = true));
  }

  head(length: string, path: string = paths.rpc, method = "POST"): void {
    this.send(
      `${method} ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${this.#token}\r\n${length}\r\n\r\n`,
    );
  }

  send(bytes: Uint8Array | string): void {
    this.#tcp.write(bytes);
  }

  end(): void {
    this.#tcp.destroy();
  }

  /** The next answer. */
  async answer(): Promise<{ readonly status: number; readonly frames: readonly Frame[] }> {
    const [head, length] = await eventually(() => {
      const [whole, head = ""] = /^([^]*?\r\n\r\n)/.exec(this.#text) ?? [];
      const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
      assert(whole !== undefined && this.#text.length >= head.length + length, "no answer yet");
      return [head, length] as const;
    }, { everyMs: 5 });
    const body = this.#text.slice(head.length, head.length + length);
    this.#text = this.#text.slice(head.length + length);
    const bytes = Uint8Array.from(body, (char) => char.charCodeAt(0));
    const frames = bytes.length > 0 ? decodeFrames(bytes) : [];
    return { status: Number(head.split(" ")[1]), frames };
  }

  async ended(): Promise<void> {
    await eventually(() => assert(this.#ended, "the link is open"), { everyMs: 5 });
  }
}

function latin1(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}

const hello = (id = 1) => encodeRequest(id, "hello", { version: 1 });
const length = (bytes: number) => `Content-Length: ${bytes}`;
const chunked = "Transfer-Encoding: chunked";

function chunk(bytes: Uint8Array): Uint8Array {
  const head = new TextEncoder().encode(`${bytes.length.toString(16)}\r\n`);
  return new Uint8Array([...head, ...bytes, 13, 10]);
}

/** Whether the server is as well as before: it answers, and nothing went wrong in it. */
async function assertWell(server: TestBackend): Promise<void> {
  await rpc(server.url, await server.token(), "hello", { version: 1 });
  assertEquals(server.log.filter((it) => it.level === "error"), []);
}

test("a body may come byte by byte, with a length or in chunks", async () => {
  const { clock, waits, waitsBeyond } = createBodyClock();
  await using server = await startTestBackend({ clock });
  const body = hello();
  for (const kind of [length(body.length), chunked]) {
    const post = new Post(server.url, await server.token());
    post.head(kind);
    for (const byte of body) {
      await waitsBeyond(waits() - 1);
      const piece = new Uint8Array([byte]);
      post.send(kind === chunked ? chunk(piece) : piece);
    }
    if (kind === chunked) post.send("0\r\n\r\n");
    const { status, frames } = await post.answer();
    assertEquals([status, frames.map((it) => it.kind)], [200, ["reply"]]);
    post.end();
  }
  await assertWell(server);
});

test("a body may pause for less than 30 s, as often as it likes", async () => {
  const { clock, advance, waits, waitsBeyond } = createBodyClock();
  await using server = await startTestBackend({ clock });
  const body = hello();
  const post = new Post(server.url, await server.token());
  post.head(length(body.length));
  for (const byte of body.subarray(0, 5)) {
    const before = waits();
    post.send(new Uint8Array([byte]));
    await waitsBeyond(before);
    advance(stallMs - 1);
  }
  post.send(body.subarray(5));
  assertEquals((await post.answer()).status, 200);
  post.end();
});

test("a body that pauses for longer is refused, and the link is closed", async () => {
  const { clock, advance, waitsBeyond } = createBodyClock();
  await using server = await startTestBackend({ clock });
  const post = new Post(server.url, await server.token());
  post.head(length(100));
  post.send(new Uint8Array(10));
  await waitsBeyond(0);
  advance(stallMs);
  const { status, frames: [frame] } = await post.answer();
  assertEquals([status, frame?.kind === "notification" && frame.method], [400, "error"]);
  await post.ended();
  await assertWell(server);
});

test("a body without a length is refused as soon as it is too long", async () => {
  await using server = await startTestBackend();
  const post = new Post(server.url, await server.token());
  post.head(chunked);
  for (let at = 0; at < 17; at++) post.send(chunk(new Uint8Array(64 << 10)));
  assertEquals((await post.answer()).status, 413);
  post.end();
  await assertWell(server);
});

test("a body that breaks off harms nobody, wherever it does", async () => {
  const { clock, waits, waitsBeyond } = createBodyClock();
  await using server = await startTestBackend({ clock });
  const token = await server.token();
  for (const kind of [length(100), chunked]) {
    for (const sent of [0, 1, 50]) {
      const before = [waits(), refusals(server)] as const;
      const post = new Post(server.url, token);
      post.head(kind);
      const piece = new Uint8Array(sent);
      if (sent > 0) post.send(kind === chunked ? chunk(piece) : piece);
      await waitsBeyond(before[0]);
      post.end();
      await eventually(() => assert(refusals(server) > before[1]), { everyMs: 5 });
    }
  }
  await assertWell(server);

  function refusals({ log }: TestBackend): number {
    return log.filter((it) => it.message === "refused" && it.code === "BAD_FRAME").length;
  }
});

test("a link that is cut while the token is being checked harms nobody", async () => {
  const checking = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const identity = { subject: "alice", tokenId: "t", issuedAt: 0, expiresAt: Date.now() + 60_000 };
  await using server = await startTestBackend({
    verify: async () => {
      checking.resolve();
      await gate.promise;
      return { ...identity, grants: new Map() };
    },
  });
  const post = new Post(server.url, "any");
  post.head(length(100));
  post.send(new Uint8Array(10));
  await checking.promise;
  post.end();
  await post.ended();
  gate.resolve();
  await eventually(() => assert(server.log.some((it) => it.message === "refused")));
  await assertWell(server);
});

test("requests may follow each other without waiting for answers", async () => {
  await using server = await startTestBackend();
  const post = new Post(server.url, await server.token());
  for (const id of [1, 2, 3]) {
    const body = hello(id);
    post.head(length(body.length));
    post.send(body);
  }
  for (const id of [1, 2, 3]) {
    const { status, frames: [frame] } = await post.answer();
    assertEquals([status, frame?.kind === "reply" && frame.id], [200, id]);
  }
  post.end();
});

test("an upload that pauses for longer than 30 s is refused, and nothing is kept of it", async () => {
  const { clock, advance, waits, waitsBeyond } = createBodyClock();
  await using server = await startTestBackend({ clock });
  const token = await server.token();
  const { ref, digest, bytes } = makeBlob(1, 1000);
  const key = { ledger: "acme/todos", ...ref, digest, size: bytes.length };
  const url = new URL((await rpc(server.url, token, "signUrl", { method: "PUT", ...key })).url);
  // How often the call above had to be waited for is the network's affair.
  const before = waits();
  const post = new Post(server.url, token);
  post.head(length(1000), url.pathname + url.search, "PUT");
  post.send(bytes.subarray(0, 999));
  await waitsBeyond(before);
  advance(stallMs);
  assertEquals((await post.answer()).status, 422);
  post.end();
  assertEquals(await server.deps.blobStore.has(key), false);
  await assertWell(server);
});
