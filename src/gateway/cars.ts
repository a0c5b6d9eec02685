/**
 * Reads Fireproof's cars: which there are, the commit header inside, the files that documents name,
 * and whether bytes are what their CID says.
 */

import { isNotFoundError } from "@fireproof/core";
import {
  type ActiveStore,
  type AnyLink,
  type CarStore,
  type FileStore,
  type FPBlock,
  isDocBlockItem,
  isFPBlockItem,
  type Loadable,
} from "@fireproof/core-types-blockstore";
import { HearthError } from "../protocol/errors.ts";
import type { BlobRef } from "../protocol/model.ts";
import { loadCar } from "./loading.ts";
import { isLink, isRecord } from "./values.ts";

/** What a car tells about the commit it belongs to. */
export interface OpenedCar {
  /** Cars that a reader of this commit needs besides its own. */
  readonly needs: readonly AnyLink[];
  /** Cars whose content this commit carries itself, since it compacted them. */
  readonly compacts: readonly AnyLink[];
  /** Cars of the files that documents in this car name. */
  readonly files: readonly AnyLink[];
  /** Events that the database's state consists of after this commit. */
  readonly head: readonly AnyLink[];
  /** What the database applies to merge the commit. */
  readonly meta: unknown;
  /** The car holds an event of that head: the commit is a write, and no mere note of a merge. */
  readonly isWrite: boolean;
}

/**
 * Opens a car that `store` can load.
 *
 * @throws {HearthError} `NOT_FOUND` when the store does not have it
 */
export async function openCar(
  loader: Loadable,
  cid: AnyLink,
  store: ActiveStore,
): Promise<OpenedCar> {
  const { blocks, roots } = (await loadCar(loader, cid, store)).item.value.car;
  const root = blocks.find((block) => roots[0]?.equals(block.cid));
  const header = root && isFPBlockItem(root) ? root.item.value.fp : undefined;
  return toOpenedCar(blocks, {
    meta: header?.meta,
    needs: header?.cars.flat() ?? [],
    compacts: header?.compact.flat() ?? [],
  });
}

/** What the blocks of a car and its commit header tell. */
export function toOpenedCar(
  blocks: readonly FPBlock[],
  header: Pick<OpenedCar, "meta" | "needs" | "compacts">,
): OpenedCar {
  const { meta } = header;
  const head = isRecord(meta) ? [meta.head].flat().filter(isLink) : [];
  return {
    ...header,
    files: blocks.flatMap((block) => isDocBlockItem(block.item) ? filesOf(block.item.value) : []),
    head,
    isWrite: blocks.some((block) => head.some((event) => event.equals(block.cid))),
  };
}

/** The cars that the database consists of, by CID. */
export function carsOf(loader: Loadable): Map<string, AnyLink> {
  return new Map(loader.carLog.asArray().flat().map((car) => [`${car}`, car]));
}

/** What the server knows a car by. */
export function toCarRef(car: AnyLink | string): BlobRef {
  return { store: "car", cid: `${car}` };
}

/** The cars whose content is in those that the database consists of, by CID. */
export async function compactedCarsOf(loader: Loadable): Promise<ReadonlySet<string>> {
  const local = loader.attachedStores.local();
  const opened = await Promise.allSettled(
    [...carsOf(loader).values()].map((car) => openCar(loader, car, local)),
  );
  // One that cannot be opened says nothing of others: these count as lacking.
  const compacts = opened.flatMap((it) => it.status === "fulfilled" ? it.value.compacts : []);
  return new Set(compacts.map(String));
}

/** The cars of `_files` and `_publicFiles`: each file names one, or a group of several. */
function filesOf(value: object): AnyLink[] {
  // Documents are the app's own data: only what has the shape of Fireproof's file links counts.
  const doc = "doc" in value && isRecord(value.doc) ? value.doc : {};
  return [doc._files, doc._publicFiles].flatMap((files) =>
    isRecord(files)
      ? Object.values(files).flatMap((file) => isRecord(file) ? [file.car].flat() : [])
      : []
  ).filter(isLink);
}

/** Loads a blob by `load`; nothing when the store does not have it. */
export async function loadIfStored(
  load: (cid: AnyLink) => Promise<{ readonly bytes: Uint8Array }>,
  cid: AnyLink,
): Promise<Uint8Array | undefined> {
  try {
    return (await load(cid)).bytes;
  } catch (error) {
    if (isNotFoundError(error)) return undefined;
    throw error;
  }
}

/**
 * Checks that stored bytes decrypt to content of this CID, before any database sees them: the
 * database itself takes whatever it is given, and remembers a failure for as long as it runs.
 *
 * @throws {HearthError} `DIGEST_MISMATCH` when they do not
 */
export async function verifyBytes(
  cid: AnyLink,
  bytes: Uint8Array,
  store: CarStore | FileStore,
): Promise<void> {
  let plain: Uint8Array;
  try {
    plain = (await (await store.keyedCrypto()).codec().decode(bytes)).data;
  } catch (cause) {
    throw new HearthError("DIGEST_MISMATCH", `Cannot decrypt ${cid}: no key of this ledger fits`, {
      cause,
    });
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", plain.slice()));
  if (!digest.every((byte, at) => byte === cid.multihash.digest[at])) {
    throw new HearthError("DIGEST_MISMATCH", `Cannot use ${cid}: its content has another digest`);
  }
}
