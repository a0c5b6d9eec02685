/** Watchers of one ledger and writers to it, in one process: counts what reaches the watchers. */

import { Buffer } from "node:buffer";
import { createUpdates, openPeer, type PeerPlace } from "../harness/peer_client.ts";
import { openPlainSocket, writerPath } from "../harness/plain_socket.ts";
import { encodeCall, openSocket } from "../harness/raw_client.ts";
import { createCommits, eachContent } from "../harness/samples.ts";
import { serveCalls } from "../harness/worker.ts";

/** What to open: at a Hearth server, at a bare one whose writers send `payload` (base64), at a peer. */
export type Scene =
  & { readonly url: string; readonly watchers: number; readonly writers: number }
  & (
    | { readonly kind: "hearth"; readonly ledger: string; readonly token: string }
    | { readonly kind: "bare"; readonly payload: string }
    | PeerPlace
  );

/** Sends one message and resolves when it is acknowledged. */
type Write = () => Promise<unknown>;

const metaBytes = 300;
/** Connections that are opened at the same time. */
const openedAtOnce = 50;

/** What has reached the watchers. */
class Audience {
  deliveries = 0;
  last: Buffer = Buffer.alloc(0);
  /** Writers that wait, the one that waits for the least first. */
  readonly #waiting: { readonly deliveries: number; readonly resolve: () => void }[] = [];

  take(message: Buffer): void {
    this.last = message;
    eachContent(message, () => this.deliveries++);
    while (this.#waiting[0] && this.#waiting[0].deliveries <= this.deliveries) {
      this.#waiting.shift()?.resolve();
    }
  }

  /** Resolves when there were so many; called with rising numbers. */
  reach(deliveries: number): Promise<void> {
    if (deliveries <= this.deliveries) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ deliveries, resolve }));
  }
}

const audience = new Audience();
let watchers = 0;
let writers: readonly Write[] = [];

const calls = {
  open: async (scene: Scene): Promise<void> => {
    watchers = scene.watchers;
    // A peer tells those who write to a document as well: they count as watchers there.
    const others = isPeer(scene) ? watchers - scene.writers : watchers;
    for (let opened = 0; opened < others; opened += openedAtOnce) {
      const count = Math.min(openedAtOnce, others - opened);
      await Promise.all(Array.from({ length: count }, () => openWatcher(scene)));
    }
    writers = await Promise.all(
      Array.from({ length: scene.writers }, (_, writer) => openWriter(scene, writer)),
    );
  },
  /**
   * Lets so many writers work for so long, each with one message under way: the next follows when
   * the last has reached all watchers. Gives deliveries per second.
   */
  run: async (work: { readonly writers: number; readonly ms: number }): Promise<number> => {
    const before = audience.deliveries;
    let acknowledged = 0;
    const start = performance.now();
    await Promise.all(
      writers.slice(0, work.writers).map(async (write) => {
        while (performance.now() - start < work.ms) {
          await write();
          await audience.reach(before + ++acknowledged * watchers);
        }
      }),
    );
    return (audience.deliveries - before) / (performance.now() - start) * 1000;
  },
  /** Writes once; gives the message that a watcher got, base64. */
  sample: async (): Promise<string> => {
    const wanted = audience.deliveries + watchers;
    await writers[0]?.();
    await audience.reach(wanted);
    return audience.last.toString("base64");
  },
};

async function openWatcher(scene: Scene): Promise<void> {
  const onPush = (message: Buffer) => audience.take(message);
  if (scene.kind === "bare") return void await openPlainSocket(scene.url, onPush);
  if (isPeer(scene)) return void await openPeer(scene, onPush);
  const { url, token, ledger } = scene;
  const client = await openSocket({ url, token, onPush });
  await client.exchange(encodeCall("watch", { ledger }));
}

async function openWriter(scene: Scene, writer: number): Promise<Write> {
  if (isPeer(scene)) {
    const { exchange } = await openPeer(scene, (message) => audience.take(message));
    const next = createUpdates(scene, metaBytes, writer);
    return () => exchange(next());
  }
  if (scene.kind === "bare") {
    const payload = Buffer.from(scene.payload, "base64");
    let acknowledge = () => {};
    const socket = await openPlainSocket(scene.url + writerPath, () => acknowledge());
    return () =>
      new Promise<void>((resolve) => {
        acknowledge = resolve;
        socket.send(payload);
      });
  }
  const { url, token, ledger } = scene;
  const client = await openSocket({ url, token });
  const next = createCommits(ledger, { metaBytes });
  return () => client.exchange(encodeCall("commit", next()));
}

function isPeer(scene: Scene): scene is Scene & PeerPlace {
  return scene.kind !== "hearth" && scene.kind !== "bare";
}

export type Watchers = typeof calls;
await serveCalls(calls);
