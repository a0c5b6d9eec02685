/**
 * Metas that wait for their cars (G9). The stock client uploads a head also when the upload of its car
 * has failed, and repeats neither before it attaches anew: so the head is taken, kept durably, and
 * shown to nobody before all its cars are there. Those that its device puts behind it wait for the same
 * cars: theirs name them, and a stock reader who does not find one looks for it no more. Any instance
 * releases them, by ordinary commits, which may be repeated: so two that race do no harm.
 */

import { HearthError } from "../../protocol/errors.ts";
import { maxListItems } from "../../protocol/limits.ts";
import type { BlobRef, Meta } from "../../protocol/model.ts";
import { keep } from "../handlers/commit.ts";
import type { Services } from "../handler.ts";
import { errorFields } from "../log.ts";
import type { HeldCount, LedgerId } from "../stores/meta_store.ts";
import { refKey } from "../stores/names.ts";
import type { FireproofServices } from "./call.ts";

/** Most metas of one ledger that wait; further ones are refused. */
export const maxHeld = 1000;

/** Most cars of others, the newest, that a meta waits for: each of those has waited for more. */
const maxOthers = 100;

/** Ledgers that are looked up at once when a server starts. */
const pageLedgers = 100;

/** What was put, and by whom. */
interface Put {
  readonly metas: readonly Meta[];
  readonly keys: readonly string[];
  /** Names the sender's process for as long as it runs. */
  readonly sender: string;
}

/** Takes metas and keys: those that are whole are committed, the others wait. */
export async function keepOrHold(
  services: FireproofServices,
  ledger: LedgerId,
  { metas, keys, sender }: Put,
): Promise<void> {
  if (metas.length === 0 && keys.length === 0) return;
  const held = new Map((await services.metaStore.heldMetas(ledger)).map((it) => [it.cid, it]));
  const own = services.heldBy.of(sender, ledger, held);
  const whole = metas.map((meta) => waitWith(meta, held, own));
  if (await isKept(services, ledger, whole, keys)) return;
  // Keys first: whatever needs them comes later.
  if (keys.length > 0) await isKept(services, ledger, [], keys);
  const waiting: Meta[] = [];
  for (const given of metas) {
    // Anew: one of this message may have begun to wait.
    const meta = waitWith(given, held, own);
    // What waits for others is tried again below, with them.
    if (meta === given && await isKept(services, ledger, [meta], [])) continue;
    waiting.push(meta);
    held.set(meta.cid, meta);
    own.add(meta.cid);
  }
  if (waiting.length === 0) return;
  if (!await services.metaStore.hold(ledger, waiting, maxHeld)) {
    throw new HearthError(
      "RATE_LIMITED",
      `Cannot keep metas of "${ledger}": ${maxHeld} wait for their cars already`,
      { details: { retryAfterMs: 1000 } },
    );
  }
  services.heldBy.set(sender, ledger, own);
  services.log.warn("metas wait for their cars", { ledger, metas: waiting.length });
  // A car that came between the refusal and the holding found nothing to release.
  await releaseHeld(services, ledger);
}

/** A meta that waits for what those wait for that it follows, or that its sender put before it. */
function waitWith(
  meta: Meta,
  held: ReadonlyMap<string, Meta>,
  own: ReadonlySet<string>,
): Meta {
  const before = [...meta.parents, ...own].flatMap((cid) => held.get(cid)?.blobs ?? []);
  if (before.length === 0) return meta;
  const others = before.slice(-maxOthers);
  const blobs = new Map([...meta.blobs, ...others].map((ref) => [refKey(ref), ref]));
  return { ...meta, blobs: [...blobs.values()].slice(0, maxListItems) };
}

/** Commits those metas of a ledger that wait and are whole now. @param came only those that name it */
export async function releaseHeld(
  services: Services,
  ledger: LedgerId,
  came?: BlobRef,
): Promise<void> {
  const held = await services.metaStore.heldMetas(ledger);
  const name = came && refKey(came);
  const asked = held.filter(({ blobs }) => !name || blobs.some((ref) => refKey(ref) === name));
  const released: string[] = [];
  for (const meta of asked) {
    if (await isKept(services, ledger, [meta], [])) released.push(meta.cid);
  }
  if (released.length === 0) return;
  await services.metaStore.unhold(ledger, released);
  services.log.info("metas were released", {
    ledger,
    metas: released.length,
    left: held.length - released.length,
  });
}

/** Whether a meta that waits names this blob. */
export async function isAnnounced(
  { metaStore }: Pick<Services, "metaStore">,
  ledger: LedgerId,
  ref: BlobRef,
): Promise<boolean> {
  const held = await metaStore.heldMetas(ledger);
  return held.some(({ blobs }) => blobs.some((it) => refKey(it) === refKey(ref)));
}

/** Releases what an instance that died has left whole. Never rejects: later requests try again. */
export async function releaseAll(services: Services): Promise<void> {
  try {
    let page: readonly HeldCount[];
    let after: LedgerId | undefined;
    do {
      page = await services.metaStore.heldLedgers(pageLedgers, after);
      for (const { ledger, metas } of page) {
        if (services.stopping.aborted) return;
        services.log.warn("metas wait for their cars", { ledger, metas });
        await releaseHeld(services, ledger);
      }
      after = page.at(-1)?.ledger;
    } while (page.length === pageLedgers);
  } catch (error) {
    services.log.error("metas were not released", errorFields(error));
  }
}

/** Commits, unless cars are missing. */
async function isKept(
  services: Services,
  ledger: LedgerId,
  metas: readonly Meta[],
  keys: readonly string[],
): Promise<boolean> {
  try {
    await keep(services, {
      ledger,
      metas: metas.map(({ cid, parents, data, blobs }) => ({
        cid,
        parents: [...parents],
        data,
        blobs: [...blobs],
      })),
      keys: [...keys],
      blobs: [],
      supersedes: [],
      retires: [],
    });
    return true;
  } catch (error) {
    if (error instanceof HearthError && error.code === "MISSING_BLOBS") return false;
    throw error;
  }
}
