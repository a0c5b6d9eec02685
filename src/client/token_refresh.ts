/** Brings fresh tokens to a live link, before the one in force ends. */

import { backoffMs } from "../base/backoff.ts";
import { sleep } from "../base/clock.ts";
import { HearthError } from "../protocol/errors.ts";
import { protocolVersion } from "../protocol/version.ts";
import type { Logger } from "./client.ts";
import type { ClientDeps } from "./deps.ts";
import type { Link } from "./link.ts";
import { createRequest } from "./request.ts";
import { refreshDelayMs, type TokenKeeper } from "./token.ts";

/** Refreshes until the link ends; then it resolves. */
export async function keepTokenFresh(
  link: Link,
  tokens: TokenKeeper,
  { clock, random }: Pick<ClientDeps, "clock" | "random">,
  logger: Logger | undefined,
): Promise<void> {
  let waitMs = refreshDelayMs(link.session.expiresAt, clock.now());
  let failures = 0;
  while (!link.signal.aborted) {
    try {
      await sleep(clock, waitMs, link.signal);
      const expiresAt = await present(link, await tokens.renew(link.signal));
      tokens.learnExpiry(expiresAt);
      waitMs = refreshDelayMs(expiresAt, clock.now());
      failures = 0;
    } catch (error) {
      if (link.signal.aborted) return;
      if (!(error instanceof HearthError)) throw error;
      // Bounded by the link: the server ends it when the token does.
      logger?.warn(`Cannot refresh the token: ${error.message}`);
      waitMs = backoffMs(failures++, random(), { atLeastMs: minPauseMs });
    }
  }
}

const minPauseMs = 1_000;

/** Over HTTP each message carries the token: saying hello again only tells when it ends. */
async function present(link: Link, token: string): Promise<number> {
  const answer = link.pushes
    ? await link.request(createRequest("auth", { token }))
    : await link.request(createRequest("hello", { version: protocolVersion, token }));
  return answer.expiresAt;
}
