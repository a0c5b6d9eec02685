/** `POST /v1/rpc`: the frames of the protocol over HTTP, each request with its token. */

import type { IncomingMessage } from "node:http";
import { HearthError, statusOf } from "../protocol/errors.ts";
import {
  decodeFrames,
  encodeError,
  encodeNotification,
  type Frame,
  joinFrames,
} from "../protocol/frames.ts";
import { dispatch, toPublicError } from "./dispatch.ts";
import type { HttpPeer, Services } from "./handler.ts";
import { errorResponse, framesResponse } from "./http_answer.ts";
import { readWhole } from "./http_body.ts";
import { messagesOf } from "./log.ts";
import { openSession, type Session } from "./session.ts";

/** A request whose body is frames. */
export interface RpcCall {
  readonly request: Request;
  /** Where its body comes from. */
  readonly incoming: IncomingMessage;
  /** The server's base URL as this client reaches it. */
  readonly baseUrl: string;
}

/** Answers one body of frames. */
export async function answerRpc(
  services: Services,
  { request, incoming, baseUrl }: RpcCall,
): Promise<Response> {
  try {
    const session = await authenticate(services, request.headers.get("authorization"));
    const body = await readWhole(incoming, services.limits.messageBytes, services.clock);
    const frames = decodeFrames(body);
    if (frames.some((frame) => frame.kind === "reply")) {
      throw new HearthError("BAD_FRAME", "Cannot read message: the server asked nothing");
    }
    return await answerFrames(services, frames, {
      via: "http",
      session,
      adopt: () => {},
      baseUrl,
      signal: request.signal,
    });
  } catch (cause) {
    const error = toPublicError(services, cause);
    services.log.info("refused", { via: "http", code: error.code, reason: messagesOf(cause) });
    return errorResponse(error);
  }
}

async function authenticate(
  { verify, newId }: Services,
  authorization: string | null,
): Promise<Session> {
  const token = /^Bearer ([^ ]+)$/i.exec(authorization ?? "")?.[1];
  return openSession(newId(), await verify(token ?? ""));
}

/** Answers of one body beyond this are not made: what they would answer was not done either. */
const maxAnswerBytes = 16 << 20;

async function answerFrames(
  services: Services,
  frames: readonly Frame[],
  peer: HttpPeer,
): Promise<Response> {
  const replies: Uint8Array[] = [];
  let bytes = 0;
  let status = 200;
  for (const frame of frames) {
    if (peer.signal.aborted) break;
    if (frame.kind === "request") {
      const { frame: reply, error } = bytes < maxAnswerBytes
        ? await dispatch(services, frame, peer)
        : refuseMore(frame.id);
      replies.push(reply);
      bytes += reply.length;
      if (error && frames.length === 1) status = statusOf(error.code);
    } else if (frame.kind === "notification" && frame.method === "ping") {
      replies.push(encodeNotification("pong", {}));
    }
  }
  return framesResponse(toBytes(replies), status);
}

function refuseMore(id: number): { readonly frame: Uint8Array; readonly error: HearthError } {
  const error = new HearthError(
    "RATE_LIMITED",
    "Cannot answer: the requests before it filled the answer to this body; ask again",
    { details: { retryAfterMs: 0 } },
  );
  return { frame: encodeError(id, error), error };
}

function toBytes(frames: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  // `joinFrames` gives a lone frame as it is, whose type leaves shared memory open; none is.
  return joinFrames(frames) as Uint8Array<ArrayBuffer>;
}
