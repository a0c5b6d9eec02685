/** Errors as the stock client knows them. */

import type { HearthError } from "../../protocol/errors.ts";

/** The version that errors and events carry, whichever the client sent. */
export const protocolVersion = "FP-MSG-1.0";

/** An error in the client's form. */
export interface ErrorMessage {
  readonly type: "error";
  readonly tid: string;
  readonly version: string;
  readonly auth: unknown;
  /** The message that failed, as its sender wrote it. */
  readonly src: unknown;
  readonly message: string;
}

/** Sources beyond this are not sent back: whoever sends much knows it. */
const maxSourceLength = 64 << 10;

/** Answers a message that failed. @param source what came, parsed or not */
export function toErrorMessage(
  source: unknown,
  { message }: Pick<HearthError, "message">,
): ErrorMessage {
  const fields = typeof source === "object" && source !== null ? source : {};
  const tid = "tid" in fields && typeof fields.tid === "string" ? fields.tid : "internal";
  const auth = "auth" in fields && isAuth(fields.auth) ? fields.auth : { type: "error" };
  const text = JSON.stringify(source) ?? "null";
  const src = text.length > maxSourceLength ? null : source ?? null;
  return { type: "error", tid: tid.slice(0, 256), version: protocolVersion, auth, src, message };
}

/** The client reads `auth.type` of every message without looking whether it is there. */
function isAuth(auth: unknown): boolean {
  return typeof auth === "object" && auth !== null && "type" in auth &&
    typeof auth.type === "string";
}
