/** What a watcher holds, and whether what it was told fits together. */

import { assert, assertEquals } from "#assert";
import { parseCursor } from "../../../src/protocol/cursor.ts";
import type { Changes } from "../../../src/protocol/model.ts";
import { parseNotice } from "../../../src/protocol/parse.ts";
import type { RawSocket } from "./raw_client.ts";

/** A watch and all that it was told. */
export interface Chain {
  readonly socket: RawSocket;
  readonly first: Changes;
  readonly ledger: string;
}

/** What a chain comes to. */
export interface Held {
  readonly seq: number;
  /** Metas in the order told. */
  readonly metas: readonly string[];
  readonly keys: ReadonlySet<string>;
}

/** Watches from the heads. */
export async function watchChain(socket: RawSocket, ledger: string): Promise<Chain> {
  const first = await socket.call("watch", { ledger });
  return { socket, first, ledger };
}

/** Checks that each change follows the one before it, and nothing comes twice; gives what is held. */
export function followChain({ socket, first, ledger }: Chain): Held {
  let seq = seqOf(first.cursor);
  let metas = first.metas.map((it) => it.cid);
  const keys = new Set(first.keys);
  for (const notice of socket.notices) {
    if (notice.method !== "metas") continue;
    const change = parseNotice("metas", notice.params);
    if (change.ledger !== ledger) continue;
    const next = seqOf(change.cursor);
    if (change.reset) {
      assert(next >= seq, `a reset leads back from ${seq} to ${next}`);
      metas = [];
    } else {
      assertEquals(change.after === null ? -1 : seqOf(change.after), seq, "it does not follow");
      assertEquals(change.metas.length, next - seq, "it is not as long as it says");
    }
    seq = next;
    for (const { cid } of change.metas) metas.push(cid);
    for (const key of change.keys) keys.add(key);
  }
  assertEquals(new Set(metas).size, metas.length, "a meta came twice");
  return { seq, metas, keys };
}

/** Waits until a chain has come so far. */
export async function untilSeq(chain: Chain, seq: number): Promise<Held> {
  if (followChain(chain).seq < seq) await chain.socket.until(() => followChain(chain).seq >= seq);
  return followChain(chain);
}

function seqOf(cursor: string): number {
  const position = parseCursor(cursor);
  assert(position);
  return position.seq;
}
