/** One ledger's changes for any number of watches: a `watch` on a socket, a loop of `poll` on HTTP. */

import { backoffMs } from "../base/backoff.ts";
import { type Clock, sleep } from "../base/clock.ts";
import { orAbort } from "../base/or_abort.ts";
import { parseCursor } from "../protocol/cursor.ts";
import { HearthError } from "../protocol/errors.ts";
import { heartbeatGraceMs } from "../protocol/limits.ts";
import type { Changes } from "../protocol/model.ts";
import type { WatchEvents, WatchOptions } from "./client.ts";
import type { Link } from "./link.ts";
import type { PollSlots } from "./poll_slots.ts";
import { createRequest } from "./request.ts";
import { Watcher, type WatcherOwner } from "./watcher.ts";

/** What a feed works with. */
export interface FeedOptions {
  readonly ledger: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly slots: PollSlots;
  /** A request on this link found the token refused. */
  readonly refuse: (link: Link, error: HearthError) => void;
  /** The last watch is closed. */
  readonly onEmpty: () => void;
}

/** The changes of one ledger. */
export class Feed implements WatcherOwner {
  readonly #options: FeedOptions;
  readonly #watchers = new Set<Watcher>();
  #link: Link | undefined;
  #running: AbortController | undefined;
  #suspect = false;
  /** Set while the server has been asked and not answered: it will tell of gaps found meanwhile. */
  #asking = false;
  #asked = false;
  #wake: (() => void) | undefined;

  constructor(options: FeedOptions) {
    this.#options = options;
  }

  /** Adds a watch. */
  add(events: WatchEvents, options: WatchOptions): Watcher {
    const watcher = new Watcher(events, this, options);
    this.#watchers.add(watcher);
    watcher.setLinkLive(this.#linkLive);
    // A poll under way would keep a newcomer waiting.
    if (this.#running && this.#link?.pushes) this.#ask();
    else this.#start(this.#link);
    return watcher;
  }

  /** Tells of the link in use, and whether to doubt it. */
  setLink(link: Link | undefined, suspect: boolean): void {
    const changed = link !== this.#link;
    this.#link = link;
    this.#suspect = suspect;
    for (const watcher of [...this.#watchers]) {
      if (changed) watcher.lag();
      watcher.setLinkLive(this.#linkLive);
    }
    if (changed) this.#start(link);
  }

  /** Takes a `metas` notification. */
  onChanges(changes: Changes): void {
    this.#accept(changes);
  }

  /** Takes a `told` notification. */
  onTold(from: string, body: Uint8Array): void {
    for (const watcher of [...this.#watchers]) watcher.told(from, body);
  }

  onDrained(): void {
    this.#ask();
  }

  onClosed(watcher: Watcher): void {
    this.#watchers.delete(watcher);
    if (this.#watchers.size > 0) return;
    this.#running?.abort();
    this.#options.onEmpty();
  }

  get #linkLive(): boolean {
    return this.#link !== undefined && !this.#suspect;
  }

  #start(link: Link | undefined): void {
    this.#running?.abort();
    this.#running = undefined;
    if (!link || this.#watchers.size === 0) return;
    this.#asked = true;
    const running = this.#running = new AbortController();
    void this.#run(link, AbortSignal.any([running.signal, link.signal]));
  }

  /** Asks until the link ends or the last watch is closed. */
  async #run(link: Link, signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#options;
    let failures = 0;
    try {
      for (;;) {
        await this.#nextQuestion(link, signal);
        try {
          const whole = this.#accept(await this.#askServer(link, signal));
          if (whole) failures = 0;
          // The answer did not go on where it was asked to: asking at once might never end.
          else await sleep(clock, backoffMs(failures++, random()), signal);
        } catch (error) {
          signal.throwIfAborted();
          const atLeastMs = this.#judge(error, link);
          await sleep(clock, backoffMs(failures++, random(), { atLeastMs }), signal);
          this.#ask();
        }
      }
    } catch (error) {
      // The end of the link or of the feed ends the loop; anything else is a mistake in here.
      if (!signal.aborted) throw error;
    }
  }

  /** A socket is asked when something is missing, HTTP all the time. */
  async #nextQuestion(link: Link, signal: AbortSignal): Promise<void> {
    while (this.#allBehind || (link.pushes && !this.#asked)) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await orAbort(promise, signal);
    }
    signal.throwIfAborted();
    this.#asked = false;
  }

  async #askServer(link: Link, signal: AbortSignal): Promise<Changes> {
    this.#asking = true;
    try {
      return await (link.pushes ? this.#watch(link, signal) : this.#poll(link, signal));
    } finally {
      this.#asking = false;
    }
  }

  #watch(link: Link, signal: AbortSignal): Promise<Changes> {
    const expectBytes = link.session.limits.inlineBytes;
    return link.request(createRequest("watch", this.#question), { signal, expectBytes });
  }

  async #poll(link: Link, signal: AbortSignal): Promise<Changes> {
    const { slots } = this.#options;
    const caughtUp = [...this.#watchers].every((watcher) => watcher.caughtUp || watcher.behind);
    const { limits, heartbeatMs } = link.session;
    const waitMs = caughtUp ? slots.waitMs(heartbeatMs) : 0;
    const release = await slots.take(signal);
    try {
      const request = createRequest("poll", { ...this.#question, waitMs });
      // A poll that waits is the heartbeat of HTTP, and as impatient.
      const patience = caughtUp
        ? { patienceMs: waitMs + heartbeatGraceMs }
        : { expectBytes: limits.inlineBytes };
      const { changes, told } = await link.request(request, { signal, ...patience, alone: true });
      for (const { from, body } of told) this.onTold(from, body);
      return changes;
    } finally {
      release();
    }
  }

  get #question(): { ledger: string; cursor: string | undefined; inventory: boolean } {
    const { ledger } = this.#options;
    const inventory = [...this.#watchers].some((watcher) => watcher.inventory);
    return { ledger, cursor: this.#lowest(), inventory };
  }

  /** Where the watch is that is furthest back; nothing (the heads) when that cannot be told. */
  #lowest(): string | undefined {
    const positions = [...this.#watchers].filter(({ behind }) => !behind).map((w) => w.position);
    return positions.reduce((lowest, position) => {
      if (lowest === position) return lowest;
      const [a, b] = [parseCursor(lowest ?? ""), parseCursor(position ?? "")];
      if (!a || !b || a.epoch !== b.epoch) return undefined;
      return a.seq < b.seq ? lowest : position;
    });
  }

  get #allBehind(): boolean {
    return [...this.#watchers].every(({ behind }) => behind);
  }

  /** Hands changes to every watch; whether all of them could take them. */
  #accept(changes: Changes): boolean {
    let whole = true;
    for (const watcher of [...this.#watchers]) {
      if (!watcher.offer(changes)) whole = false;
    }
    if (!whole && !this.#asking) this.#ask();
    return whole;
  }

  #ask(): void {
    this.#asked = true;
    this.#wake?.();
  }

  /** What an error asks for: the least time to wait, unless it ends the watches. */
  #judge(error: unknown, link: Link): number {
    if (!(error instanceof HearthError)) throw error;
    if (error.code === "CURSOR_INVALID") {
      for (const watcher of this.#watchers) watcher.restart();
      return 0;
    }
    if (error.retry === "reauth") this.#options.refuse(link, error);
    if (error.retry === "never") {
      for (const watcher of [...this.#watchers]) watcher.fail(error);
    }
    return error.details?.retryAfterMs ?? 0;
  }
}
