/** Reads a ledger as its watchers see it: stretches of the log, or the heads where the log cannot serve. */

import { formatCursor, parseCursor } from "../protocol/cursor.ts";
import { HearthError } from "../protocol/errors.ts";
import type { BlobListing, Changes, Meta } from "../protocol/model.ts";
import type { LedgerId, MetaStore } from "./stores/meta_store.ts";

/** What the reading needs of the database. */
export type LedgerReader = Pick<MetaStore, "epoch" | "bounds" | "log" | "heads" | "inventory">;

/** Changes, and the position behind them. */
export interface Stretch {
  readonly changes: Changes;
  readonly seq: number;
  /** As in `LogPage`. */
  readonly items?: number | undefined;
}

/** Options of {@linkcode readFrom}. */
export interface ReadOptions {
  /** From the heads without one. */
  readonly cursor?: string | undefined;
  /** Whether a reset lists the blobs in use. */
  readonly inventory: boolean;
}

/** Most metas of one stretch. */
const maxPageMetas = 500;
/** Most bytes of one stretch's metas, but for a single larger one: what a connection holds at once. */
const maxPageBytes = 512 << 10;
/** Most blobs of one inventory, newest first: enough for a database that is compacted now and then. */
const maxInventory = 1000;

/**
 * Reads what follows a cursor.
 *
 * @throws {HearthError} `CURSOR_INVALID` when the cursor is none of this history
 */
export async function readFrom(
  store: LedgerReader,
  ledger: LedgerId,
  { cursor, inventory }: ReadOptions,
): Promise<Stretch> {
  if (cursor === undefined) return await readHeads(store, ledger, inventory);
  const position = parseCursor(cursor);
  if (position?.epoch !== store.epoch) throw notOfHistory(ledger);
  const stretch = await readAfter(store, ledger, position.seq, inventory);
  // Where nothing follows, it may be that the ledger does not reach so far.
  const isAtEnd = stretch.seq === position.seq && !stretch.changes.reset;
  if (isAtEnd && position.seq > ((await store.bounds(ledger))?.head ?? 0)) {
    throw notOfHistory(ledger);
  }
  return stretch;
}

function notOfHistory(ledger: LedgerId): HearthError {
  return new HearthError(
    "CURSOR_INVALID",
    `Cannot read "${ledger}" from the cursor: it is not of this ledger's history`,
  );
}

/** Reads what follows a position: the log, or the heads when the log is no longer whole there. */
export async function readAfter(
  store: LedgerReader,
  ledger: LedgerId,
  after: number,
  inventory = false,
): Promise<Stretch> {
  const page = await store.log(ledger, after, maxPageMetas);
  if (after < page.floor) return await readHeads(store, ledger, inventory);
  const metas = fitting(page.metas);
  const whole = metas.length === page.metas.length;
  // Above the floor the log has no gaps, so the count of metas tells the position.
  const seq = whole ? Math.max(after, page.seq) : after + metas.length;
  const changes = {
    after: formatCursor({ epoch: store.epoch, seq: after }),
    cursor: formatCursor({ epoch: store.epoch, seq }),
    reset: false,
    metas,
    keys: page.keys,
    blobs: [],
    more: !whole || page.more,
  };
  return { changes, seq, items: whole ? page.items : undefined };
}

/** Reads the heads. */
export async function readHeads(
  store: LedgerReader,
  ledger: LedgerId,
  inventory: boolean,
): Promise<Stretch> {
  const { metas, keys, seq } = await store.heads(ledger);
  const listing: readonly BlobListing[] | undefined = inventory
    ? await store.inventory(ledger, maxInventory)
    : undefined;
  const changes = {
    after: null,
    cursor: formatCursor({ epoch: store.epoch, seq }),
    reset: true,
    metas,
    keys,
    blobs: [],
    inventory: listing,
    more: false,
  };
  return { changes, seq };
}

function fitting(metas: readonly Meta[]): readonly Meta[] {
  let bytes = 0;
  const end = metas.findIndex((meta, at) => {
    bytes += meta.data.length + 64 * (meta.parents.length + meta.blobs.length + 1);
    return at > 0 && bytes > maxPageBytes;
  });
  return end < 0 ? metas : metas.slice(0, end);
}
