/** A watch that remembers what it was told. */

import { assert, assertEquals } from "#assert";
import type { Changes, Client, HearthError, Watch, WatchOptions } from "../../../src/client/mod.ts";

/** What a watch was told so far. */
export interface RecordedWatch extends Watch {
  readonly changes: readonly Changes[];
  readonly told: readonly { readonly from: string; readonly body: Uint8Array }[];
  readonly errors: readonly HearthError[];
  /** All that `onLive` said. */
  readonly lives: readonly boolean[];
  readonly isLive: boolean;
  /** CIDs of all metas told, in order. */
  metas(): string[];
  /** Waits until it is live. */
  live(): Promise<void>;
  /** Fails unless each change follows the one before it. */
  checkOrder(): void;
}

/** Watches a ledger; `onChanges` may hold back the next. */
export function recordWatch(
  client: Pick<Client, "watch">,
  ledger: string,
  options: WatchOptions = {},
  onChanges: (changes: Changes) => void | Promise<void> = () => {},
): RecordedWatch {
  const changes: Changes[] = [];
  const told: RecordedWatch["told"][number][] = [];
  const errors: HearthError[] = [];
  const lives: boolean[] = [];
  const waiting: (() => void)[] = [];
  const watch = client.watch(ledger, {
    onChanges: (it) => {
      changes.push(it);
      return onChanges(it);
    },
    onTold: (from, body) => told.push({ from, body }),
    onError: (error) => errors.push(error),
    onLive: (live) => {
      lives.push(live);
      if (live) { for (const resolve of waiting.splice(0)) resolve(); }
    },
  }, options);
  const isLive = () => lives.at(-1) ?? false;
  return {
    changes,
    told,
    errors,
    lives,
    get cursor() {
      return watch.cursor;
    },
    get isLive() {
      return isLive();
    },
    close: () => watch.close(),
    metas: () => changes.flatMap(({ metas }) => metas.map(({ cid }) => cid)),
    live: () => {
      return isLive() ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve));
    },
    checkOrder: () => {
      let position = changes[0]?.cursor;
      assert(position);
      for (const { after, cursor, reset } of changes.slice(1)) {
        if (!reset) assertEquals(after, position);
        position = cursor;
      }
    },
  };
}
