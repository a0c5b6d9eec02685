/** Which requests become a socket; all others are answered and their links closed. */

import { Buffer } from "node:buffer";
import { EventEmitter } from "node:events";
import { connect } from "node:net";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { assert, assertEquals } from "#assert";
import { acceptSockets } from "../../src/backend/upgrade.ts";
import { paths, subprotocol } from "../../src/protocol/version.ts";
import { eventually } from "../harness/eventually.ts";
import { startTestBackend } from "./support/test_backend.ts";

const goodHeaders = {
  Host: "sync.example",
  Upgrade: "websocket",
  Connection: "Upgrade",
  "Sec-WebSocket-Version": "13",
  "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
  "Sec-WebSocket-Protocol": subprotocol,
};

/** A request with something changed; what is `undefined` is left out. */
interface Attempt {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string | undefined>>;
}

function toText({ method = "GET", path = paths.sync, headers = {} }: Attempt): string {
  const lines = Object.entries({ ...goodHeaders, ...headers })
    .filter(([, value]) => value !== undefined).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n`;
}

/** A link on which text is sent by hand. */
function openLink(url: string) {
  const { port, hostname } = new URL(url);
  const tcp = connect(Number(port), hostname);
  let text = "";
  let ended = false;
  tcp.on("data", (piece: Uint8Array) => (text += new TextDecoder().decode(piece)));
  // Whether a link that is closed behind an answer breaks differs.
  tcp.on("error", () => {}).on("close", () => (ended = true));
  return {
    tcp,
    /** The status of the answer. */
    status: () =>
      eventually(() => {
        assert(/^HTTP[^]*\r\n\r\n/.test(text), "no answer yet");
        return Number(text.split(" ")[1]);
      }, { everyMs: 5 }),
    head: () => text.split("\r\n\r\n")[0]?.toLowerCase() ?? "",
    /** Resolves when the link was answered or ended. */
    decided: () =>
      eventually(() => assert(ended || text !== "", "the link is open"), { everyMs: 5 }),
    ended: () => eventually(() => assert(ended, "the link is open"), { everyMs: 5 }),
  };
}

const refused: Readonly<Record<string, readonly [Attempt, number]>> = {
  "a page of another origin": [{ headers: { Origin: "https://evil.example" } }, 403],
  "a page without an origin of its own": [{ headers: { Origin: "null" } }, 403],
  "another path": [{ path: "/v1/synch" }, 404],
  "a path that is served otherwise": [{ path: paths.rpc }, 404],
  "a path of another server": [{ path: "/healthz" }, 404],
  "another protocol to upgrade to": [{ headers: { Upgrade: "h2c" } }, 426],
  "no subprotocol": [{ headers: { "Sec-WebSocket-Protocol": undefined } }, 400],
  "another subprotocol": [{ headers: { "Sec-WebSocket-Protocol": "hearth.v2, mqtt" } }, 400],
  "no key": [{ headers: { "Sec-WebSocket-Key": undefined } }, 400],
  "another version of WebSocket": [{ headers: { "Sec-WebSocket-Version": "7" } }, 400],
  "another method": [{ method: "POST" }, 405],
};

for (const [what, [attempt, status]] of Object.entries(refused)) {
  test(`an upgrade with ${what} is answered with ${status}, and the link is closed`, async () => {
    await using server = await startTestBackend({ origins: ["https://app.example"] });
    const link = openLink(server.url);
    link.tcp.write(toText(attempt));
    assertEquals(await link.status(), status);
    await link.ended();
  });
}

test("an upgrade with all that is needed is accepted, with a query or another subprotocol too", async () => {
  await using server = await startTestBackend({ origins: ["https://app.example"] });
  const attempts: readonly Attempt[] = [
    {},
    { path: `${paths.sync}?client=x` },
    { headers: { Origin: "https://app.example" } },
    { headers: { Upgrade: "WebSocket" } },
    { headers: { "Sec-WebSocket-Protocol": `other,${subprotocol}` } },
  ];
  for (const attempt of attempts) {
    const link = openLink(server.url);
    link.tcp.write(toText(attempt));
    assertEquals(await link.status(), 101);
    assert(link.head().includes(`\nsec-websocket-protocol: ${subprotocol}`));
    link.tcp.destroy();
  }
});

test("a server with all the connections it may have closes one more, until another has ended", async () => {
  await using server = await startTestBackend({ maxConnections: 2 });
  const links = [openLink(server.url), openLink(server.url)];
  for (const link of links) {
    link.tcp.write(toText({}));
    assertEquals(await link.status(), 101);
  }
  const refused = openLink(server.url);
  refused.tcp.write(toText({}));
  await refused.ended();
  assertEquals(refused.head(), "");
  links[0]?.tcp.destroy();
  const accepted = await eventually(async () => {
    const link = openLink(server.url);
    link.tcp.write(toText({}));
    await link.decided();
    assertEquals(link.head().split("\r\n")[0], "http/1.1 101 switching protocols");
    return link;
  });
  for (const { tcp } of [...links, accepted]) tcp.destroy();
});

test("a plain request for the path of sockets is told so", async () => {
  await using server = await startTestBackend();
  for (const headers of [{ Upgrade: undefined, Connection: undefined }, { Connection: "close" }]) {
    const link = openLink(server.url);
    link.tcp.write(toText({ headers }));
    assertEquals(await link.status(), 426);
    assert(link.head().includes("\nupgrade: websocket"));
    link.tcp.destroy();
  }
});

test("an upgrade that comes while the server stops is answered with 503", async () => {
  // By itself: a server that stops closes links on which nothing is asked, sooner or later.
  const server = new EventEmitter();
  acceptSockets(server, {
    isAllowed: () => true,
    stopping: AbortSignal.abort(),
    maxBytes: 1000,
    doors: new Map([[paths.sync, { subprotocol, onSocket: () => {} }]]),
  });
  const link = new PassThrough();
  const headers = { upgrade: "websocket", "sec-websocket-protocol": subprotocol };
  server.emit("upgrade", { url: paths.sync, headers }, link, Buffer.alloc(0));
  let answer = "";
  for await (const piece of link) answer += piece;
  assertEquals(answer.split("\r\n")[0], "HTTP/1.1 503 Service Unavailable");
});
