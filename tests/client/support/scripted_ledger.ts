/** A ledger in memory, as a scripted server tells of it. */

import type { Changes, Meta } from "../../../src/client/mod.ts";
import { formatCursor, parseCursor } from "../../../src/protocol/cursor.ts";
import { HearthError } from "../../../src/protocol/errors.ts";
import { makeMeta } from "../../backend/support/made.ts";

/** A log of metas, one at each seq. */
export class ScriptedLedger {
  epoch = "epoch1234";
  readonly metas: Meta[] = [];

  /** Adds metas; gives the changes that tell of them. */
  add(count = 1, bytes = 8): Changes {
    const from = this.metas.length;
    for (let at = from; at < from + count; at++) {
      this.metas.push(makeMeta(`meta ${at} `.padEnd(bytes, "x")));
    }
    return this.between(from, from + count);
  }

  cursor(seq = this.metas.length): string {
    return formatCursor({ epoch: this.epoch, seq });
  }

  between(from: number, to: number): Changes {
    return {
      after: this.cursor(from),
      cursor: this.cursor(to),
      reset: false,
      metas: this.metas.slice(from, to),
      keys: [],
      blobs: [],
      more: to < this.metas.length,
    };
  }

  /** The answer to a `watch` or `poll`. */
  read(cursor: string | undefined, limit = Infinity): Changes | HearthError {
    if (cursor === undefined) {
      return { ...this.between(0, this.metas.length), after: null, reset: true };
    }
    const position = parseCursor(cursor);
    if (position?.epoch !== this.epoch || position.seq > this.metas.length) {
      return new HearthError("CURSOR_INVALID", "Not of this history");
    }
    return this.between(position.seq, Math.min(this.metas.length, position.seq + limit));
  }

  /** CIDs of all metas. */
  get cids(): string[] {
    return this.metas.map(({ cid }) => cid);
  }
}
