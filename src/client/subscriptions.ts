/** The watches of one client: one feed for each ledger that is watched. */

import type { Clock } from "../base/clock.ts";
import type { HearthError } from "../protocol/errors.ts";
import type { Watch, WatchEvents, WatchOptions } from "./client.ts";
import { Feed } from "./feed.ts";
import type { AnyNotice, Link } from "./link.ts";
import { PollSlots } from "./poll_slots.ts";
import { createRequest } from "./request.ts";

/** Options of {@linkcode Subscriptions}. */
export interface SubscriptionsOptions {
  readonly clock: Clock;
  readonly random: () => number;
  /** A request on this link found the token refused. */
  readonly refuse: (link: Link, error: HearthError) => void;
}

/** All watches of one client. */
export class Subscriptions {
  readonly #options: SubscriptionsOptions;
  readonly #feeds = new Map<string, Feed>();
  readonly #slots = new PollSlots();
  #link: Link | undefined;
  #suspect = false;

  constructor(options: SubscriptionsOptions) {
    this.#options = options;
  }

  /** Watches a ledger until the watch is closed. */
  watch(ledger: string, events: WatchEvents, options: WatchOptions = {}): Watch {
    options.signal?.throwIfAborted();
    return (this.#feeds.get(ledger) ?? this.#open(ledger)).add(events, options);
  }

  /** Tells of the link in use, and whether to doubt it. */
  setLink(link: Link | undefined, suspect: boolean): void {
    this.#link = link;
    this.#suspect = suspect;
    for (const feed of [...this.#feeds.values()]) feed.setLink(link, suspect);
  }

  /** Takes what the server says of its own accord. */
  onNotice(notice: AnyNotice): void {
    if (notice.name === "metas") {
      const { ledger, ...changes } = notice.body;
      this.#feeds.get(ledger)?.onChanges(changes);
    } else if (notice.name === "told") {
      const { ledger, from, body } = notice.body;
      this.#feeds.get(ledger)?.onTold(from, body);
    }
  }

  #open(ledger: string): Feed {
    const feed = new Feed({
      ...this.#options,
      ledger,
      slots: this.#slots,
      onEmpty: () => this.#close(ledger),
    });
    this.#feeds.set(ledger, feed);
    this.#slots.sharers = this.#feeds.size;
    feed.setLink(this.#link, this.#suspect);
    return feed;
  }

  #close(ledger: string): void {
    this.#feeds.delete(ledger);
    this.#slots.sharers = this.#feeds.size;
    const link = this.#link;
    if (!link?.pushes) return;
    // If it fails the server goes on telling, and nobody listens: no harm until the link ends.
    link.request(createRequest("unwatch", { ledger })).catch(() => {});
  }
}
