/**
 * Metas that wait for their cars (G9). The stock client uploads a head also when the upload of its car
 * has failed, and repeats neither before it attaches anew: so the head is taken, kept durably, and
 * shown to nobody before all its cars are there. Nor are those that follow it: their cars name its
 * own, and a stock reader who does not find one of them looks for it no more. Any instance releases
 * them, by ordinary commits, which may be repeated: so two that race do no harm.
 */

import { HearthError } from "../../protocol/errors.ts";
import type { BlobRef, Meta } from "../../protocol/model.ts";
import { keep } from "../handlers/commit.ts";
import type { Services } from "../handler.ts";
import { errorFields } from "../log.ts";
import type { HeldCount, LedgerId } from "../stores/meta_store.ts";
import { refKey } from "../stores/names.ts";

/** Most metas of one ledger that wait; further ones are refused. */
export const maxHeld = 1000;

/** Ledgers that are looked up at once when a server starts. */
const pageLedgers = 100;

/** Takes metas and keys: those that are whole are committed, the others wait. */
export async function keepOrHold(
  services: Services,
  ledger: LedgerId,
  { metas, keys }: { readonly metas: readonly Meta[]; readonly keys: readonly string[] },
): Promise<void> {
  if (metas.length === 0 && keys.length === 0) return;
  const held = new Set((await services.metaStore.heldMetas(ledger)).map(({ cid }) => cid));
  const isFree = ({ cid, parents }: Meta): boolean =>
    !held.has(cid) && !parents.some((parent) => held.has(parent));
  if (metas.every(isFree) && await isKept(services, ledger, metas, keys)) return;
  // Keys first: whatever needs them comes later.
  if (keys.length > 0) await isKept(services, ledger, [], keys);
  const waiting: Meta[] = [];
  for (const meta of metas) {
    if (isFree(meta) && await isKept(services, ledger, [meta], [])) continue;
    waiting.push(meta);
    held.add(meta.cid);
  }
  if (waiting.length === 0) return;
  if (!await services.metaStore.hold(ledger, waiting, maxHeld)) {
    throw new HearthError(
      "RATE_LIMITED",
      `Cannot keep metas of "${ledger}": ${maxHeld} wait for their cars already`,
      { details: { retryAfterMs: 1000 } },
    );
  }
  services.log.warn("metas wait for their cars", { ledger, metas: waiting.length });
  // A car that came between the refusal and the holding found nothing to release.
  await releaseHeld(services, ledger);
}

/**
 * Commits those metas of a ledger that wait and are whole now, and those that waited for these.
 *
 * @param came only those that name it, and what follows them
 */
export async function releaseHeld(
  services: Services,
  ledger: LedgerId,
  came?: BlobRef,
): Promise<void> {
  const held = await services.metaStore.heldMetas(ledger);
  const waiting = new Map(held.map((meta) => [meta.cid, meta]));
  const isFree = ({ parents }: Meta): boolean => !parents.some((parent) => waiting.has(parent));
  const name = came && refKey(came);
  const queue = held.filter((meta) =>
    isFree(meta) && (!name || meta.blobs.some((ref) => refKey(ref) === name))
  );
  const released: string[] = [];
  // Grows while it is walked.
  for (const meta of queue) {
    if (!await isKept(services, ledger, [meta], [])) continue;
    released.push(meta.cid);
    waiting.delete(meta.cid);
    for (const other of waiting.values()) {
      if (other.parents.includes(meta.cid) && isFree(other)) queue.push(other);
    }
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
