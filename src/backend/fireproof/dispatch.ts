/** From a message of the stock client to its answer: row, form, token, right, handler. */

import * as v from "valibot";
import { HearthError } from "../../protocol/errors.ts";
import { isLedgerId, splitLedger } from "../../protocol/model.ts";
import { refuseUnknown, toPublicError } from "../dispatch.ts";
import { messagesOf } from "../log.ts";
import { authorise, openSession, type Session } from "../session.ts";
import type { LedgerId } from "../stores/meta_store.ts";
import { type Call, type FireproofServices, type Sender, Written } from "./call.ts";
import { toErrorMessage } from "./errors.ts";
import { type Access, baseSchema, messages, type Row } from "./messages.ts";

/** What a message is answered with. */
export interface Answer {
  /** JSON, in the order in which it is sent. */
  readonly texts: readonly string[];
  readonly error: HearthError | undefined;
  /** Whose token was good. */
  readonly session: Session | undefined;
}

/** Answers a message. Never rejects. @param source what came, as JSON has it */
export async function dispatch(
  services: FireproofServices,
  source: unknown,
  sender: Sender,
): Promise<Answer> {
  const start = performance.now();
  const found: { type?: string; session?: Session; ledger?: LedgerId } = {};
  let texts: readonly string[];
  let failed: HearthError | undefined;
  try {
    texts = await run(services, source, sender, found);
  } catch (cause) {
    failed = toPublicError(services, cause);
    if (failed.code === "UNAUTHENTICATED") {
      services.log.info("refused", { via: "fireproof", reason: messagesOf(cause) });
    }
    texts = [JSON.stringify(toErrorMessage(source, failed))];
  }
  services.log.debug("request", {
    via: "fireproof",
    session: found.session?.id,
    ledger: found.ledger,
    method: found.type ?? "unknown",
    ms: Math.round((performance.now() - start) * 10) / 10,
    code: failed?.code ?? "OK",
  });
  return { texts, error: failed, session: found.session };
}

async function run(
  services: FireproofServices,
  source: unknown,
  sender: Sender,
  found: { type?: string; session?: Session; ledger?: LedgerId },
): Promise<readonly string[]> {
  const base = parse(baseSchema, source);
  const row = messages.get(base.type);
  // The words of Fireproof's own server.
  if (!row) throw new HearthError("METHOD_UNKNOWN", "unexpected message");
  found.type = base.type;
  const message = parse(row.schema, source);
  const { session, ledger } = await admit(services, row.access, base, found);
  const call: Call = {
    ...sender,
    services,
    tid: base.tid,
    auth: base.auth,
    tenant: base.tenant ?? (ledger === undefined ? undefined : toTenant(ledger)),
    session: () => session ?? refuse("token"),
    ledger: () => ledger ?? refuse("ledger"),
  };
  return toTexts(base, row, await row.handle(call, message));
}

function toTexts(
  { tid, version, auth }: v.InferOutput<typeof baseSchema>,
  { answer: type }: Row,
  body: object,
): readonly string[] {
  if (body instanceof Written) return body.texts;
  return [JSON.stringify({ tid, version, auth: auth ?? { type: "error" }, type, ...body })];
}

/** One socket carries messages of many users: each counts by its own token, and by nothing else. */
async function admit(
  services: FireproofServices,
  access: Access,
  { auth, tenant }: v.InferOutput<typeof baseSchema>,
  found: { session?: Session; ledger?: LedgerId },
): Promise<{ readonly session?: Session; readonly ledger?: LedgerId }> {
  if (access === "none") return {};
  const identity = await services.verifyFireproof(tokenOf(auth));
  const session = openSession(services.newId(), identity);
  found.session = session;
  if (services.clock.now() >= session.expiresAt) {
    throw new HearthError("UNAUTHENTICATED", "Cannot go on: the token has expired");
  }
  if (access === "token") return { session };
  const ledger = tenant ? `${tenant.tenant}/${tenant.ledger}` : identity.selected;
  if (ledger === undefined || !isLedgerId(ledger)) {
    throw new HearthError("BAD_PARAMS", "Cannot answer: the message names no tenant and ledger");
  }
  found.ledger = ledger;
  authorise(session, access, ledger, services.clock.now());
  if (!services.autoCreate) await refuseUnknown(services, access, ledger);
  return { session, ledger };
}

const authSchema = v.object({
  type: v.literal("fp-cloud-jwk"),
  params: v.object({ jwk: v.string() }),
});

function tokenOf(auth: unknown): string {
  const parsed = v.safeParse(authSchema, auth);
  if (parsed.success) return parsed.output.params.jwk;
  throw new HearthError("UNAUTHENTICATED", "Cannot answer: the message has no token");
}

function toTenant(ledger: LedgerId): object {
  const [tenant, name] = splitLedger(ledger);
  return { tenant, ledger: name };
}

function parse<S extends v.GenericSchema>(schema: S, value: unknown): v.InferOutput<S> {
  const parsed = v.safeParse(schema, value, { abortEarly: true });
  if (parsed.success) return parsed.output;
  // The library's own messages quote the input.
  const place = parsed.issues[0].path?.map(({ key }) => String(key)).join(".");
  throw new HearthError(
    "BAD_PARAMS",
    `Cannot read the message: ${
      place ? `${place} is missing or has another form` : "it is no map"
    }`,
  );
}

function refuse(what: string): never {
  throw new TypeError(`Cannot answer: the row asks for no ${what}`);
}
