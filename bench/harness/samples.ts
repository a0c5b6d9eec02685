/** Commits of the size that a small put makes. */

import type { Buffer } from "node:buffer";
import { createHash, randomBytes } from "node:crypto";
import { formatCid } from "../../src/protocol/cid.ts";
import type { CommitParams } from "../../src/protocol/method_table.ts";

/** Sizes of what a commit brings. */
export interface SampleSizes {
  /** Bytes of the blob; no blob without it. */
  readonly blobBytes?: number | undefined;
  readonly metaBytes: number;
}

/** What a put of a small document brings. */
export const smallPut: SampleSizes = { blobBytes: 1024, metaBytes: 300 };

/** How all content begins, so that it is found in whatever message it comes. */
export const contentMark = new Uint8Array([0x9e, 0x37, 0x79, 0xb9, 0x7f, 0x4a, 0x7c, 0x15]);

const rawCodec = 0x55;

/** Makes bytes that are like no others, of one of up to 65,536 writers. */
export function makeContent(length: number, writer = 0): Uint8Array {
  const bytes = randomBytes(length);
  bytes.set(contentMark);
  bytes.writeUInt16BE(writer, contentMark.length);
  return new Uint8Array(bytes);
}

/** Calls back with the writer of each content in a message. */
export function eachContent(message: Buffer, onContent: (writer: number) => void): void {
  for (let at = message.indexOf(contentMark); at >= 0; at = message.indexOf(contentMark, at + 1)) {
    onContent(message.readUInt16BE(at + contentMark.length));
  }
}

/** The writer of one content. */
export function writerOf(content: Uint8Array): number {
  const { buffer, byteOffset } = content;
  return new DataView(buffer, byteOffset).getUint16(contentMark.length);
}

/** Makes commits of one writer, each on top of the one before. */
export function createCommits(
  ledger: string,
  { blobBytes, metaBytes }: SampleSizes,
  writer = 0,
): () => CommitParams {
  let last: readonly string[] = [];
  return () => {
    const blob = blobBytes === undefined ? undefined : made(new Uint8Array(randomBytes(blobBytes)));
    const meta = made(makeContent(metaBytes, writer));
    const blobs = blob ? [{ store: "car", cid: blob.cid } as const] : [];
    const commit: CommitParams = {
      ledger,
      blobs: blob ? [{ store: "car", cid: blob.cid, bytes: blob.bytes }] : [],
      metas: [{ cid: meta.cid, parents: last, data: meta.bytes, blobs }],
      keys: [],
      supersedes: last,
      retires: [],
    };
    last = [meta.cid];
    return commit;
  };
}

function made(bytes: Uint8Array): { readonly bytes: Uint8Array; readonly cid: string } {
  return { bytes, cid: formatCid(rawCodec, createHash("sha256").update(bytes).digest()) };
}
