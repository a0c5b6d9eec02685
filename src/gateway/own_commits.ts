/**
 * Remembers what the database's own last commits hold: Fireproof lets go of it once a commit is
 * written, and would decrypt and decode the car anew to tell.
 */

import type { AnyLink, Loadable } from "@fireproof/core-types-blockstore";
import { RecentMap } from "../base/recent_map.ts";
import { type OpenedCar, toOpenedCar } from "./cars.ts";

/** Commits remembered of a database; the oldest goes first, and its car is opened where needed. */
const maxRemembered = 16;

type CarTransaction = Parameters<Loadable["commit"]>[0];

/** By database, and by the CID of the commit's first car. */
const remembered = new WeakMap<Loadable, RecentMap<OpenedCar>>();

/** Remembers this database's commits from now on. */
export function rememberCommits(loader: Loadable): void {
  if (remembered.has(loader)) return;
  const opened = new RecentMap<OpenedCar>(maxRemembered);
  remembered.set(loader, opened);
  const commit = loader.commit.bind(loader);
  loader.commit = async (transaction, done, opts) => {
    const cars = await commit(transaction, done, opts);
    const [first] = cars;
    const needs = opts?.compact ? undefined : carsBefore(loader, cars);
    // What a compaction declares superfluous is in its car alone.
    if (!first || !needs) return cars;
    opened.set(`${first}`, await describe(transaction, done, needs));
    return cars;
  };
}

/** What is remembered of the commit that begins with a car; nothing when it is not, or not any more. */
export function rememberedCommit(loader: Loadable, car: AnyLink): OpenedCar | undefined {
  return remembered.get(loader)?.get(`${car}`);
}

/** The cars that the log held before these, as the commit's header names them. */
function carsBefore(loader: Loadable, cars: readonly AnyLink[]): AnyLink[] | undefined {
  const log = loader.carLog.asArray();
  const at = log.findIndex(([first]) => first && cars[0]?.equals(first));
  return at < 0 ? undefined : log.slice(at + 1).flat();
}

async function describe(
  transaction: CarTransaction,
  meta: unknown,
  needs: readonly AnyLink[],
): Promise<OpenedCar> {
  const blocks = await Array.fromAsync(transaction.entries());
  return toOpenedCar(blocks, { meta, needs, compacts: [] });
}
