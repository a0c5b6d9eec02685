/** From a request to its reply: row, form, right, handler; whatever happens, there is one reply. */

import { HearthError } from "../protocol/errors.ts";
import { encodeError, encodeResult, type Request } from "../protocol/frames.ts";
import { type Access, isMethodName, type MethodName, methods } from "../protocol/methods.ts";
import { parseParams } from "../protocol/parse.ts";
import type { Handler, Peer, Services } from "./handler.ts";
import { handlers } from "./handlers/mod.ts";
import { errorFields, messagesOf } from "./log.ts";
import { authorise } from "./session.ts";

/** A reply, and the error in it, if any. */
export interface Answer {
  readonly frame: Uint8Array;
  readonly error: HearthError | undefined;
}

/** Answers a request. Never rejects. */
export async function dispatch(services: Services, request: Request, peer: Peer): Promise<Answer> {
  const start = performance.now();
  const answer = await run(services, request, peer);
  if (services.log.keeps("debug")) {
    services.log.debug("request", {
      session: peer.session?.id,
      via: peer.via,
      ledger: ledgerOf(request.params),
      // Only names of the table: what a client makes up stays out of the log.
      method: isMethodName(request.method) ? request.method : "unknown",
      ms: Math.round((performance.now() - start) * 10) / 10,
      code: answer.error?.code ?? "OK",
      bytes: answer.frame.length,
    });
  }
  return answer;
}

/** Makes any error one that may leave the server: what is unforeseen stays in the log. */
export function toPublicError(services: Pick<Services, "log" | "newId">, cause: unknown) {
  if (cause instanceof HearthError && cause.code !== "INTERNAL") return cause;
  const id = services.newId();
  services.log.error("internal error", { id, ...errorFields(cause) });
  return new HearthError("INTERNAL", "Cannot answer: an unforeseen fault", {
    cause,
    details: { id },
  });
}

async function run(services: Services, { id, method, params }: Request, peer: Peer) {
  try {
    if (!isMethodName(method)) {
      throw new HearthError("METHOD_UNKNOWN", "Cannot answer: no method has this name");
    }
    const result = await call(services, method, params, peer);
    return { frame: encodeResult(id, result), error: undefined };
  } catch (cause) {
    const error = toPublicError(services, cause);
    if (error.code === "UNAUTHENTICATED") {
      services.log.info("refused", { via: peer.via, reason: messagesOf(cause) });
    }
    return { frame: encodeError(id, error), error };
  }
}

function call<M extends MethodName>(
  services: Services,
  method: M,
  raw: unknown,
  peer: Peer,
) {
  const { over } = methods[method];
  if (over !== "any" && over !== peer.via) {
    throw new HearthError("WRONG_TRANSPORT", `Cannot ${method} over ${peer.via}: use ${over}`);
  }
  const params = parseParams(method, raw);
  const access = accessOf(method, params);
  const ledger = admit(services, access, params, peer);
  // The compiler cannot see that the row's `over`, checked above, is what the handler's peer is from.
  const handler = handlers[method] as Handler<M>;
  const answer = () => handler(services, params, peer as Parameters<Handler<M>>[2]);
  // Nothing is awaited that need not be: each turn of the queue of promises costs every call.
  if (ledger === undefined || services.autoCreate) return answer();
  return refuseUnknown(services, access, ledger).then(answer);
}

/** Lets a call through that concerns the session alone, or a ledger that it may access: that one. */
function admit(
  services: Services,
  access: Access,
  params: object,
  peer: Peer,
): string | undefined {
  if (access === "none") return undefined;
  const ledger = ledgerOf(params);
  if (ledger === undefined) throw new TypeError("Cannot authorise: the row names no ledger");
  if (!peer.session) {
    throw new HearthError("HELLO_REQUIRED", "Cannot answer: the connection has not said hello");
  }
  authorise(peer.session, access, ledger, services.clock.now());
  return ledger;
}

/** For servers that create no ledger on its first commit. @throws {HearthError} `LEDGER_UNKNOWN` */
export async function refuseUnknown(
  services: Pick<Services, "reads">,
  access: Access,
  ledger: string,
): Promise<void> {
  if (await services.reads.bounds(ledger)) return;
  throw new HearthError("LEDGER_UNKNOWN", `Cannot ${access} "${ledger}": it does not exist`);
}

function accessOf(method: MethodName, params: unknown): Access {
  const { access } = methods[method];
  // Rows whose access depends on the parameters have parsed these parameters themselves.
  return typeof access === "function" ? access(params as Parameters<typeof access>[0]) : access;
}

function ledgerOf(params: unknown): string | undefined {
  if (typeof params !== "object" || params === null || !("ledger" in params)) return undefined;
  return typeof params.ledger === "string" ? params.ledger.slice(0, 129) : undefined;
}
