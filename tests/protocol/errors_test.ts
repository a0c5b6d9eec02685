/** Every code has its answer on both transports and its advice. */

import { test } from "node:test";
import { assert, assertEquals } from "#assert";
import { closeCodeOf, codes, HearthError, statusOf } from "../../src/protocol/errors.ts";

// The keys of the table are its codes: the compiler widens them to strings.
const names = Object.keys(codes) as (keyof typeof codes)[];

test("a HearthError takes its advice from the table", () => {
  for (const code of names) {
    const error = new HearthError(code, "Cannot do this");
    assertEquals(error.retry, codes[code].retry);
    assertEquals(error.code, code);
    assertEquals(error.name, "HearthError");
    assertEquals(`${error}`, "HearthError: Cannot do this");
    assert(error instanceof Error);
  }
});

test("a HearthError keeps its cause and details", () => {
  const cause = new TypeError("deep");
  const error = new HearthError("CONFLICT", "Cannot write", { cause, details: { version: 3 } });
  assertEquals(error.cause, cause);
  assertEquals(error.details, { version: 3 });
});

test("statusOf() answers an HTTP error status for every code", () => {
  for (const code of names) {
    const status = statusOf(code);
    assert(status >= 400 && status < 600, `${code}: ${status}`);
    // A proxy or a library may retry what the server calls its own fault.
    assertEquals(
      codes[code].retry === "later",
      status === 429 || status === 499 || status >= 500,
      code,
    );
  }
  assertEquals(statusOf("UNAUTHENTICATED"), 401);
});

test("closeCodeOf() gives codes that a server may send", () => {
  for (const code of names) {
    const close = closeCodeOf(code);
    // RFC 6455 §7.4: 1004-1006 and 1015 never travel; 4000-4999 are an application's own.
    const fine = close === undefined || [1001, 1007, 1008, 1009, 1013].includes(close) ||
      close >= 4_000 && close < 5_000;
    assert(fine, `${code}: ${close}`);
  }
  assertEquals(closeCodeOf("FORBIDDEN"), undefined);
  assertEquals(closeCodeOf("BAD_FRAME"), 1007);
});

test("only a refused token asks for a new token", () => {
  assertEquals(names.filter((code) => codes[code].retry === "reauth"), ["UNAUTHENTICATED"]);
});
