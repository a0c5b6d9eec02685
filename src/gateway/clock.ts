/** Looks after the database's clock, where a remote commit shows, or fails to without a word. */

import type { AnyLink, Loadable } from "@fireproof/core-types-blockstore";
import { isLink, isRecord } from "./values.ts";

/** Most events walked to find whether others are part of a history. */
const maxWalk = 10_000;

/** The events that the database's state consists of. */
export function headOf(loader: Loadable): readonly AnyLink[] {
  return loader.blockstoreParent?.crdtParent?.clock.head ?? [];
}

/**
 * Whether the events of a commit are in the database's history. Fireproof logs a merge that failed
 * for want of a block, and goes on without it.
 */
export async function hasMerged(loader: Loadable, events: readonly AnyLink[]): Promise<boolean> {
  return await isWithin(loader, events, headOf(loader)) !== false;
}

/** Whether events are in the history of others; nothing when that history is too long to tell. */
export async function isWithin(
  loader: Loadable,
  events: readonly AnyLink[],
  head: readonly AnyLink[],
): Promise<boolean | undefined> {
  const wanted = new Set(events.map(String));
  const blockstore = loader.blockstoreParent?.crdtParent?.blockstore;
  const walked = new Set<string>();
  const queue = [...head];
  for (let link = queue.shift(); link && wanted.size > 0; link = queue.shift()) {
    const cid = `${link}`;
    if (walked.has(cid)) continue;
    if (walked.size >= maxWalk) return undefined;
    walked.add(cid);
    wanted.delete(cid);
    if (wanted.size > 0 && blockstore) queue.push(...(await readEvent(blockstore, link)).parents);
  }
  return wanted.size === 0;
}

/**
 * Tells the app of its first content: Fireproof's clock is silent when it takes its very first head
 * from a remote.
 */
export async function announceFirst(loader: Loadable): Promise<void> {
  const crdt = loader.blockstoreParent?.crdtParent;
  if (!crdt) return;
  const { result } = await crdt.changes();
  if (result.length === 0) return;
  for (const listener of crdt.clock.watchers.values()) listener(result);
  for (const listener of crdt.clock.noPayloadWatchers.values()) listener();
}

/** The states with which the history of these events began: the roots of events without parents. */
export async function beginningsOf(
  blockstore: Blocks,
  head: readonly AnyLink[],
): Promise<AnyLink[]> {
  const roots: AnyLink[] = [];
  const walked = new Set<string>();
  const queue = [...head];
  for (let link = queue.shift(); link; link = queue.shift()) {
    if (walked.has(`${link}`)) continue;
    walked.add(`${link}`);
    const { parents, root } = await readEvent(blockstore, link);
    queue.push(...parents);
    if (parents.length === 0 && root) roots.push(root);
  }
  return roots;
}

/** Where blocks come from. */
interface Blocks {
  get(link: AnyLink): Promise<unknown>;
}

async function readEvent(
  blockstore: Blocks,
  link: AnyLink,
): Promise<{ readonly parents: readonly AnyLink[]; readonly root: AnyLink | undefined }> {
  const block = await blockstore.get(link);
  const item = isRecord(block) ? block.item : undefined;
  const event = isRecord(item) && isRecord(item.value) ? item.value : {};
  const { parents, data } = event;
  return {
    parents: Array.isArray(parents) ? parents.filter(isLink) : [],
    root: isRecord(data) && isLink(data.root) ? data.root : undefined,
  };
}
