/** A cursor is `epoch.seq`: how far somebody has read a ledger, opaque to clients. */

/** A position in a ledger, bound to the history (epoch) in which it was reached. */
export interface Position {
  readonly epoch: string;
  /** 0 before the first meta. */
  readonly seq: number;
}

/** Writes a position as the cursor that clients keep. */
export function formatCursor(position: Position): string {
  return `${position.epoch}.${position.seq}`;
}

/** Reads a cursor; nothing when the text is not one. */
export function parseCursor(text: string): Position | undefined {
  const match = /^([a-z0-9]{8,64})\.(0|[1-9][0-9]{0,15})$/.exec(text);
  if (!match?.[1] || !match[2]) return undefined;
  const seq = Number(match[2]);
  return Number.isSafeInteger(seq) ? { epoch: match[1], seq } : undefined;
}
