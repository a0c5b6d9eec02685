/** The HTTP transport against a fetch that does what the test says. */

import { test } from "node:test";
import { assert, assertEquals } from "#assert";
import { contentType } from "../../src/protocol/version.ts";
import { createHttpDialer } from "../../src/transport/http.ts";
import { createFakeClock } from "../harness/fake_clock.ts";
import { createRecorder } from "./recorder.ts";

interface Post {
  readonly url: string;
  readonly init: RequestInit;
  answer(response: Response): void;
  fail(error: unknown): void;
}

async function openTransport(token: string | undefined = "secret") {
  const posts: Post[] = [];
  const clock = createFakeClock();
  const events = createRecorder();
  const fetch = (input: URL | RequestInfo, init: RequestInit = {}) => {
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    init.signal?.addEventListener("abort", () => reject(init.signal?.reason));
    posts.push({ url: String(input), init, answer: resolve, fail: reject });
    return promise;
  };
  const dialer = createHttpDialer("https://hearth.test/base", { fetch, clock });
  const signal = new AbortController().signal;
  const transport = await dialer.open(events, { token: () => token, signal });
  return { posts, clock, events, transport };
}

const frames = (bytes: number[], status = 200) =>
  new Response(new Uint8Array(bytes), { status, headers: { "content-type": contentType } });

test("each message is one POST with the token, its answer one message", async () => {
  const { posts, events, transport } = await openTransport();
  assertEquals(transport.pushes, false);
  assertEquals(posts.length, 0);
  transport.send(new Uint8Array([1, 2]));
  const [post] = posts;
  assert(post);
  assertEquals(post.url, "https://hearth.test/base/v1/rpc");
  assertEquals(post.init.method, "POST");
  assertEquals(new Headers(post.init.headers).get("authorization"), "Bearer secret");
  assertEquals(new Headers(post.init.headers).get("content-type"), contentType);
  assertEquals(post.init.body, new Uint8Array([1, 2]));
  post.answer(frames([3, 4]));
  assertEquals(await events.message(), new Uint8Array([3, 4]));
  transport.send(new Uint8Array([5]));
  posts[1]?.answer(frames([6], 403));
  assertEquals(await events.message(), new Uint8Array([6]));
  await new Promise((resolve) => setTimeout(resolve, 0));
  assertEquals(events.closes, []);
  assertEquals(transport.bufferedBytes, 0);
});

test("a few requests at once, the others wait in order", async () => {
  const { posts, events, transport } = await openTransport();
  for (let count = 0; count < 8; count++) transport.send(new Uint8Array([count]));
  assertEquals(posts.length, 5);
  assertEquals(transport.bufferedBytes, 8);
  posts[2]?.answer(frames([9]));
  await events.message();
  await new Promise((resolve) => setTimeout(resolve, 0));
  assertEquals(
    posts.map(({ init }) => init.body),
    [0, 1, 2, 3, 4, 5].map((it) => new Uint8Array([it])),
  );
  transport.close();
});

test("whatever is no frames ends the link", async () => {
  const endings: [(post: Post) => void, number][] = [
    [(post) => post.fail(new TypeError("reset")), 1006],
    [(post) => post.answer(new Response("<html>", { status: 502 })), 1006],
    [
      (post) => post.answer(new Response("<html>", { headers: { "content-type": "text/html" } })),
      1006,
    ],
    [(post) => post.answer(new Response(null, { status: 401 })), 4401],
  ];
  for (const [end, code] of endings) {
    const { posts, events, transport } = await openTransport();
    transport.send(new Uint8Array([1]));
    transport.send(new Uint8Array([2]));
    const [first, second] = posts;
    assert(first && second);
    end(first);
    assertEquals((await events.closed).code, code);
    assertEquals(second.init.signal?.aborted, true);
    transport.send(new Uint8Array([3]));
    assertEquals(posts.length, 2);
    await new Promise((resolve) => setTimeout(resolve, 0));
    assertEquals(events.closes.length, 1);
    assertEquals(events.messages, []);
  }
});

test("an answer that does not begin, or does not go on, ends the link", async () => {
  const silent = await openTransport();
  silent.transport.send(new Uint8Array([1]));
  silent.clock.advance(44_000);
  assertEquals(silent.events.closes, []);
  silent.clock.advance(2_000);
  assertEquals((await silent.events.closed).code, 1006);

  const stuck = await openTransport();
  stuck.transport.send(new Uint8Array([1]));
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  stuck.posts[0]?.answer(new Response(readable, { headers: { "content-type": contentType } }));
  const writer = writable.getWriter();
  const broken = assertBroken(writer.closed);
  await writer.write(new Uint8Array([1]));
  await new Promise((resolve) => setTimeout(resolve, 0));
  stuck.clock.advance(16_000);
  assertEquals((await stuck.events.closed).code, 1006);
  await broken;
});

/** The answer's sender hears that nobody reads it any more. */
async function assertBroken(closed: Promise<unknown>): Promise<void> {
  const ended = await closed.then(() => "closed", () => "broken");
  assertEquals(ended, "broken");
}

test("without a token none is sent", async () => {
  const posts: RequestInit[] = [];
  const dialer = createHttpDialer("http://hearth.test", {
    clock: createFakeClock(),
    fetch: (_input, init = {}) => {
      posts.push(init);
      return Promise.resolve(frames([1]));
    },
  });
  const events = createRecorder();
  const signal = new AbortController().signal;
  const transport = await dialer.open(events, { token: () => undefined, signal });
  transport.send(new Uint8Array([1]));
  await events.message();
  assertEquals(new Headers(posts[0]?.headers).has("authorization"), false);
});
