/** Browser pages of other origins are refused, before anything is opened. */

import { test } from "node:test";
import { assertEquals } from "#assert";
import { isAllowedOrigin } from "../../src/backend/origins.ts";
import { encodeRequest } from "../../src/protocol/frames.ts";
import { post } from "./support/raw_client.ts";
import { TcpSocket } from "./support/tcp_socket.ts";
import { startTestBackend } from "./support/test_backend.ts";

const host = "sync.example:8787";

test("by default pages of the same origin and of localhost are allowed, and programs", () => {
  const allowed = [
    undefined,
    "http://sync.example:8787",
    "http://localhost:3000",
    "http://127.0.0.1",
    "http://[::1]:5173",
  ];
  const refused = [
    "null",
    "",
    "https://evil.example",
    "http://sync.example",
    "http://localhost.evil.example",
    "http://evil.example/localhost",
    "file://localhost",
    "localhost",
  ];
  for (const it of allowed) assertEquals([it, isAllowedOrigin(it, host, [])], [it, true]);
  for (const it of refused) assertEquals([it, isAllowedOrigin(it, host, [])], [it, false]);
});

test("a list replaces the default, exactly", () => {
  const list = ["https://app.example"];
  assertEquals(isAllowedOrigin("https://app.example", host, list), true);
  assertEquals(isAllowedOrigin(undefined, host, list), true);
  for (
    const it of [
      "http://app.example",
      "https://app.example.evil",
      "http://localhost",
      `http://${host}`,
    ]
  ) {
    assertEquals([it, isAllowedOrigin(it, host, list)], [it, false]);
  }
  assertEquals(isAllowedOrigin("https://any.example", host, ["*"]), true);
});

test("an upgrade from another origin is refused with 403, from a good one accepted", async () => {
  await using server = await startTestBackend({ origins: ["https://app.example"] });
  for (
    const [Origin, status] of [["https://evil.example", 403], ["null", 403], [
      "https://app.example",
      101,
    ]] as const
  ) {
    const socket = await TcpSocket.open(server.url, { Origin });
    assertEquals([Origin, Number(socket.statusLine.split(" ")[1])], [Origin, status]);
    socket.destroy();
  }
});

test("an upgrade without the subprotocol is refused", async () => {
  await using server = await startTestBackend();
  for (const offered of ["other", "hearth.v2, mqtt"]) {
    const socket = await TcpSocket.open(server.url, { "Sec-WebSocket-Protocol": offered });
    assertEquals(socket.statusLine.split(" ")[1], "400");
    socket.destroy();
  }
  const both = await TcpSocket.open(server.url, { "Sec-WebSocket-Protocol": "other,hearth.v1" });
  assertEquals(both.statusLine.split(" ")[1], "101");
  both.destroy();
});

test("over HTTP others are refused, and allowed ones may read the answer, without credentials", async () => {
  await using server = await startTestBackend({ origins: ["https://app.example"] });
  const token = await server.token();
  const hello = encodeRequest(1, "hello", { version: 1 });
  assertEquals(
    (await post(server.url, token, hello, { origin: "https://evil.example" })).status,
    403,
  );
  const preflight = await fetch(`${server.url}/v1/rpc`, {
    method: "OPTIONS",
    headers: {
      origin: "https://app.example",
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization,content-type",
    },
  });
  await preflight.arrayBuffer();
  assertEquals(preflight.headers.get("access-control-allow-origin"), "https://app.example");
  assertEquals(preflight.headers.get("access-control-allow-credentials"), null);
  const allowed = preflight.headers.get("access-control-allow-headers")?.split(",");
  assertEquals(allowed?.map((it) => it.trim()).sort(), ["authorization", "content-type"]);
  assertEquals(
    (await post(server.url, token, hello, { origin: "https://app.example" })).status,
    200,
  );
});
