/** Observes which blocks a database reads while it works. */

import type { AnyLink, Loadable } from "@fireproof/core-types-blockstore";

/** The database, its clock and its blocks. */
export type Crdt = NonNullable<NonNullable<Loadable["blockstoreParent"]>["crdtParent"]>;
/** A block as Fireproof holds it. */
export type Block = Parameters<ReturnType<Crdt["blockstore"]["openTransaction"]>["putSync"]>[0];

/**
 * Runs work and tells of each block that is read meanwhile, by whomever, and of each that is read and
 * not there.
 */
export async function observingReads<T>(
  loader: Loadable,
  onRead: (cid: AnyLink, block: Block | undefined) => void,
  work: () => Promise<T>,
): Promise<T> {
  const blockstore = loader.blockstoreParent?.crdtParent?.blockstore;
  if (!blockstore) return await work();
  const get = blockstore.get;
  blockstore.get = async (cid) => {
    const block = await get.call(blockstore, cid);
    onRead(cid, block || undefined);
    return block;
  };
  try {
    return await work();
  } finally {
    blockstore.get = get;
  }
}
