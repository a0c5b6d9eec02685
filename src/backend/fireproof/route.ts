/** `PUT /fp`: one message of the stock client, and its answer. */

import type { IncomingMessage } from "node:http";
import { HearthError, statusOf } from "../../protocol/errors.ts";
import { toPublicError } from "../dispatch.ts";
import { withoutKeepAlive } from "../http_answer.ts";
import { readWhole } from "../http_body.ts";
import type { FireproofServices } from "./call.ts";
import type { Address } from "./connection.ts";
import { dispatch } from "./dispatch.ts";
import { toErrorMessage } from "./errors.ts";

/** Answers one message. @param incoming where the request's body comes from */
export async function answerMessage(
  services: FireproofServices,
  incoming: IncomingMessage,
  address: Address,
): Promise<Response> {
  let source: unknown;
  try {
    const body = await readWhole(incoming, services.limits.messageBytes, services.clock);
    source = parseJson(body);
  } catch (cause) {
    const error = toPublicError(services, cause);
    return withoutKeepAlive(toResponse(JSON.stringify(toErrorMessage(undefined, error)), error));
  }
  const { texts, error } = await dispatch(services, source, { ...address, socket: undefined });
  return toResponse(texts.at(-1) ?? "null", error);
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(body));
  } catch (cause) {
    throw new HearthError("BAD_FRAME", "Cannot read message: it is no JSON", { cause });
  }
}

function toResponse(text: string, error: HearthError | undefined): Response {
  return new Response(text, {
    status: error ? statusOf(error.code) : 200,
    headers: { "content-type": "application/json", "cache-control": "no-store" },
  });
}
