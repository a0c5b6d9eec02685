/**
 * The assertions that tests use, by the names of `@std/assert` over `node:assert/strict`, so that
 * one line in package.json (`"#assert"`) swaps the package in.
 */

import assert from "node:assert/strict";

/** Passes when the value is truthy. */
export function assertTrue(value: unknown, message?: string): asserts value {
  assert.ok(value, message);
}

export { assertTrue as assert };

/** Passes when both are deeply and strictly equal. */
export function assertEquals<T>(actual: T, expected: T, message?: string): void {
  assert.deepStrictEqual(actual, expected, message);
}

/** Passes when they differ. */
export function assertNotEquals<T>(actual: T, expected: T, message?: string): void {
  assert.notDeepStrictEqual(actual, expected, message);
}

/** Passes when both are the same value (`Object.is`). */
export function assertStrictEquals<T>(actual: T, expected: T, message?: string): void {
  assert.strictEqual(actual, expected, message);
}

/** Passes when the value is neither `null` nor `undefined`. */
export function assertExists<T>(value: T, message?: string): asserts value is NonNullable<T> {
  assert.ok(value !== null && value !== undefined, message ?? "Expected a value");
}

/** Passes when the text matches. */
export function assertMatch(text: string, pattern: RegExp, message?: string): void {
  assert.match(text, pattern, message);
}

/** Passes when the text or list contains the part. */
export function assertStringIncludes(text: string, part: string, message?: string): void {
  assert.ok(
    text.includes(part),
    message ?? `Expected ${JSON.stringify(text)} to include "${part}"`,
  );
}

/** Passes when the call throws; gives the error back. */
export function assertThrows(call: () => unknown, message?: string): Error {
  try {
    call();
  } catch (error) {
    assert.ok(error instanceof Error, "Expected an Error to be thrown");
    return error;
  }
  return assert.fail(message ?? "Expected the call to throw");
}

/** Passes when the promise rejects; gives the error back. */
export async function assertRejects(
  call: () => PromiseLike<unknown>,
  message?: string,
): Promise<Error> {
  try {
    await call();
  } catch (error) {
    assert.ok(error instanceof Error, "Expected an Error as reason");
    return error;
  }
  return assert.fail(message ?? "Expected the promise to reject");
}
