/** A server with the stock client's door open, for tokens of Hearth's own form. */

import type { BackendDeps } from "../../../../src/backend/start_backend.ts";
import type { VerifyFireproof } from "../../../../src/sts/fireproof_identity.ts";
import type { Verify } from "../../../../src/sts/verify.ts";
import { startTestBackend, type TestBackend } from "../../support/test_backend.ts";

/** Starts one. */
export async function startStockBackend(
  options: Partial<BackendDeps> = {},
): Promise<TestBackend> {
  // The server's own way to check Hearth's tokens is not known before it is made.
  let verify: Verify = () => Promise.reject(new Error("not yet"));
  const verifyFireproof: VerifyFireproof = async (token) => ({
    ...await verify(token),
    selected: "acme/todos",
  });
  const backend = await startTestBackend({ verifyFireproof, ...options });
  verify = backend.deps.verify;
  return backend;
}
