/** Asserts that calls fail as they should. */

import { assert, assertEquals, assertRejects } from "#assert";
import { type Code, HearthError } from "../../src/protocol/errors.ts";

/** Passes when the call rejects with an error of this code; gives the error back. */
export async function assertFails(
  code: Code,
  call: () => PromiseLike<unknown>,
): Promise<HearthError> {
  const error = await assertRejects(call);
  assert(error instanceof HearthError, `${error.stack}`);
  assertEquals(error.code, code, error.message);
  return error;
}
